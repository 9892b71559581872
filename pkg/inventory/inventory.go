package inventory

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/quota"
	"heteroaccel.io/pkg/telemetry"
)

// Options set an Inventory up. Zero values take the defaults.
type Options struct {
	// MaxTelemetryAge is how old telemetry may be and still count. Default 15 s.
	MaxTelemetryAge time.Duration
	// ReservationTTL is how long a reservation waits for its pod. Default 30 s.
	ReservationTTL time.Duration
	// ServiceTime is how long one run of an inference on a kind is expected
	// to take, 0 when unknown. It is called under the lock: it must be quick
	// and must not call the inventory. Default: always unknown.
	ServiceTime func(inference string, kind accel.Kind) time.Duration
	// Schedulers are the names of the schedulers whose pending pods are claims.
	// Default: all of them.
	Schedulers []string
	// Now is the clock. Default time.Now.
	Now func() time.Time
}

// Inventory is the merged state of the cluster. Use New.
type Inventory struct {
	opts Options

	mu sync.Mutex

	// nodes are the records by name, byIndex the same ones by Node.index: nil
	// where the index is free.
	nodes   map[string]*Node
	byIndex []*Node
	// nextStale is a time before which no fresh telemetry becomes stale.
	nextStale time.Time

	pods map[types.NamespacedName]*Pod
	// pending has the claim of each pod in the scheduler's queue that wants an
	// accelerator.
	pending map[types.NamespacedName]claim

	reservations map[string]*reservation
	// queue are the reservations, the oldest first, with some that have ended. The
	// first judged of them were found overdue, or were over by then.
	queue  []*reservation
	judged int
	// reserved counts the reservations that claim, by claimant, and strangers those of
	// callers that were not Trusted.
	reserved  map[string]int
	strangers int
	overdue   int // so far
	// late are the overdue reservations for TakeOverdue, and lateMore counts what was not
	// kept of them.
	late     []Overdue
	lateMore int

	callers callers
	// standings are of namespaces, namespaces which there are; nil while unknown.
	standings  map[string]*standing
	namespaces map[string]struct{}

	quotas quota.Ledger

	storage storage

	// slots are of nodes, shown or not.
	slots map[string]Slots
	// offering is how many nodes have slots of a DeviceClass, by accel.ClassResource.
	offering    map[string]int
	allocations allocations

	// What follows is derived from all of the above and updated with it, so that
	// a decision does not have to look at every node: see podClass.
	classes   map[string]*podClass
	eligible  map[string]*eligibleNodes
	preferred map[string]*preferredNodes
	withTable []*podClass // those with a table
	claiming  []*podClass // those with claims, in claimOrder
	claimsIn  map[namespaceClass]int
	classesOf map[string]claimedClasses
	// shared are the constraints of the pods, constraintsOf what those of a namespace
	// take together.
	shared        map[constraintsKey]*sharedConstraints
	constraintsOf map[string]int
	tableUses     uint64   // how often a table was asked for
	scratch       firstFit // reused by countClaims
	// claimedPreferences is how many of preferred some claim has.
	claimedPreferences int

	// excluded is one claim that is not counted for the moment.
	excluded claim

	wakeups chan struct{}
}

// New returns an empty inventory.
func New(opts Options) *Inventory {
	opts.MaxTelemetryAge = cmp.Or(opts.MaxTelemetryAge, 15*time.Second)
	opts.ReservationTTL = cmp.Or(opts.ReservationTTL, 30*time.Second)
	if opts.ServiceTime == nil {
		opts.ServiceTime = func(string, accel.Kind) time.Duration { return 0 }
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	return &Inventory{
		opts:         opts,
		nodes:        map[string]*Node{},
		pods:         map[types.NamespacedName]*Pod{},
		pending:      map[types.NamespacedName]claim{},
		reservations: map[string]*reservation{},
		reserved:     map[string]int{},
		callers:      newCallers(),
		standings:    map[string]*standing{},
		storage:      newStorage(),
		slots:        map[string]Slots{},
		offering:     map[string]int{},
		allocations:  newAllocations(),
		classes:      map[string]*podClass{},
		claimsIn:     map[namespaceClass]int{},
		classesOf:    map[string]claimedClasses{},

		shared:        map[constraintsKey]*sharedConstraints{},
		constraintsOf: map[string]int{},
		eligible:      map[string]*eligibleNodes{},
		preferred:     map[string]*preferredNodes{},
		wakeups:       make(chan struct{}, 1),
	}
}

// SetNode takes a new or changed node.
func (inv *Inventory) SetNode(n *Node) {
	inv.mu.Lock()
	defer inv.mu.Unlock()
	old := inv.node(n.Name)
	m := *n
	m.replaceSlots(Slots{}, inv.slots[n.Name])
	m.Held, m.Pods, m.Holders, m.releasing, m.allocations = old.Held, old.Pods, old.Holders, old.releasing, old.allocations
	m.Telemetry, m.fresh, m.blocked = old.Telemetry, old.fresh, old.blocked
	if old.traits.equal(m.traits) {
		m.traits = old.traits
	}
	inv.putNode(&m)
}

// DeleteNode removes a node. The pods bound to it are kept until they are gone
// as well.
func (inv *Inventory) DeleteNode(name string) {
	inv.mu.Lock()
	defer inv.mu.Unlock()
	if old := inv.nodes[name]; old != nil {
		inv.putNode(&Node{Name: name, Held: old.Held, Pods: old.Pods, Holders: old.Holders, releasing: old.releasing, allocations: old.allocations})
	}
}

// SetTelemetry takes a scrape of a node. One older than what is there is
// ignored, so that two sources cannot turn time back. One from the future counts
// as from now: a clock that runs ahead must not keep telemetry fresh.
func (inv *Inventory) SetTelemetry(s telemetry.Scrape) {
	inv.mu.Lock()
	defer inv.mu.Unlock()
	now := inv.opts.Now()
	if s.Time.After(now) {
		s.Time = now
	}
	old := inv.node(s.Node)
	if old.Telemetry != nil && s.Time.Before(old.Telemetry.Time) {
		return
	}
	inv.markStale(now)
	m := *inv.node(s.Node)
	m.Telemetry, m.fresh = &s, now.Sub(s.Time) <= inv.opts.MaxTelemetryAge
	m.updateBlocked()
	inv.putNode(&m)
	if stale := s.Time.Add(inv.opts.MaxTelemetryAge); stale.Before(inv.nextStale) {
		inv.nextStale = stale
	}
}

// PodChange is what a new or changed pod changed in the inventory.
type PodChange struct {
	// Record is the record that the inventory keeps of the pod.
	Record *Pod
	// Admitted is set when the pod ended its reservation: it is the one that a
	// decision was made for.
	Admitted bool
	// Finished is set when the pod ended, well or not, while it was known: once
	// for each, and never for one that had ended before it was seen first.
	Finished bool
	// Started is set when the first container of a pod that wants an accelerator started
	// while the pod was known: once for each, and never for one that ran already when it
	// was seen first.
	Started bool
}

// SetPod takes a new or changed pod, and ends its reservation if it has one.
func (inv *Inventory) SetPod(p *Pod) PodChange {
	inv.mu.Lock()
	defer inv.mu.Unlock()
	old := inv.pods[p.name()]
	if old != nil && old.UID != p.UID {
		old = nil // another pod of the same name
	}
	p = inv.withAllocations(inv.withVolumes(p.withObservedRun(old, inv.opts.Now())), old)
	p = inv.replacePod(p.name(), p)
	return PodChange{Record: p, Admitted: inv.fulfil(p), Finished: p.Done && old != nil && !old.Done, Started: hasStarted(old, p)}
}

// hasStarted reports whether a pod has started since it was old, nil for one that was not
// known.
func hasStarted(old, p *Pod) bool {
	return old != nil && old.Run != nil && old.Run.Started.IsZero() && !old.Done &&
		p.Run != nil && !p.Run.Started.IsZero() && !p.Run.Restarted
}

// DeletePod removes a pod.
func (inv *Inventory) DeletePod(namespace, name string) {
	inv.mu.Lock()
	defer inv.mu.Unlock()
	inv.replacePod(types.NamespacedName{Namespace: namespace, Name: name}, nil)
}

// replacePod replaces the pod of a name by p, nil for none, wherever it counts. It
// returns the record that is kept.
func (inv *Inventory) replacePod(name types.NamespacedName, p *Pod) *Pod {
	var e nodeEdit
	p = inv.replacePodIn(&e, name, p)
	inv.putEdited(&e)
	return p
}

// replacePodIn is replacePod, but for the nodes that it changes.
func (inv *Inventory) replacePodIn(e *nodeEdit, name types.NamespacedName, p *Pod) *Pod {
	old := inv.pods[name]
	if p != nil {
		p = inv.share(p)
	}
	inv.unshare(old)
	from, to := old.host(), p.host()
	if from != "" && from == to {
		e.put(inv.edited(e, to).withPod(old, p))
	} else {
		if from != "" {
			e.put(inv.edited(e, from).withPod(old, nil))
		}
		if to != "" {
			e.put(inv.edited(e, to).withPod(nil, p))
		}
	}
	if old.releasing() {
		e.put(inv.edited(e, old.Node).withReleasing(old, nil))
	}
	if p.releasing() {
		e.put(inv.edited(e, p.Node).withReleasing(nil, p))
	}
	inv.updateQuotas(name.Namespace, old, p)
	oldClaim, wasPending := inv.pending[name]
	delete(inv.pending, name)
	delete(inv.pods, name)
	delete(inv.storage.unboundPods, name)
	inv.indexLate(old, p)
	if p != nil {
		inv.pods[name] = p
		if len(p.volumeClaims) > 0 {
			inv.storage.unboundPods[name] = struct{}{}
		}
		if p.isPending() && inv.schedules(p.Scheduler) {
			inv.pending[name] = inv.addClaim(name.Namespace, p.counts(), p.Constraints, p.Verdict != "")
		}
	}
	if wasPending {
		inv.removeClaim(oldClaim)
	}
	return p
}

// schedules reports whether the pending pods of a scheduler are claims. A pod
// that names none gets the default one from the API server, and counts.
func (inv *Inventory) schedules(name string) bool {
	return name == "" || len(inv.opts.Schedulers) == 0 || slices.Contains(inv.opts.Schedulers, name)
}
