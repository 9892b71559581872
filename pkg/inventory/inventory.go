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
	// MaxTelemetryAge is how old a sample may be and still count. Default 15 s.
	MaxTelemetryAge time.Duration
	// ReservationTTL is how long a reservation waits for its pod. Default 30 s.
	ReservationTTL time.Duration
	// ServiceTime is how long one run of an inference on a kind is expected
	// to take, 0 when nobody knows. It is called under the lock: it must be
	// quick and must not call the inventory. Default: nobody knows.
	ServiceTime func(inference string, kind accel.Kind) time.Duration
	// Schedulers are the names of the schedulers whose queues count: a pod that
	// waits for another's is no claim. Default: all are.
	Schedulers []string
	// Now is the clock. Default time.Now.
	Now func() time.Time
}

// Inventory is the merged state. The zero value is of no use: see New.
type Inventory struct {
	opts Options

	mu sync.Mutex

	// nodes are the records by name, and places the same ones by the small
	// number each has while it is known: nil where the number is free.
	nodes  map[string]*Node
	places []*Node
	// ageing is a time before which no fresh sample grows stale.
	ageing time.Time

	pods map[types.NamespacedName]*Pod
	// waiting has each pod in the scheduler's queue for an accelerator.
	waiting map[types.NamespacedName]waits

	reservations map[string]*reservation
	// expiring is a time before which no reservation expires.
	expiring time.Time

	quotas quota.Ledger

	storage storage

	// What follows is derived from all of the above and kept in step with it,
	// so that a decision does not have to look at every node: see shape.
	shapes  map[string]*shape
	reaches map[string]*reach
	tabled  []*shape // those with a table
	queue   []*shape // those that pods or reservations wait in
	asked   uint64   // counts the tables asked for
	dealing hand     // scratch of claims

	// leftOut has one pod that is not counted while it is reconsidered.
	leftOut waits

	gains chan struct{}
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
		waiting:      map[types.NamespacedName]waits{},
		reservations: map[string]*reservation{},
		storage:      newStorage(),
		shapes:       map[string]*shape{},
		reaches:      map[string]*reach{},
		gains:        make(chan struct{}, 1),
	}
}

// SetNode takes a new or changed node.
func (inv *Inventory) SetNode(n *Node) {
	inv.mu.Lock()
	defer inv.mu.Unlock()
	old := inv.node(n.Name)
	m := *n
	m.Held, m.Pods, m.Holders = old.Held, old.Pods, old.Holders
	m.Telemetry, m.fresh, m.blocked = old.Telemetry, old.fresh, old.blocked
	if old.traits.equal(m.traits) {
		m.traits = old.traits
	}
	inv.putNode(&m)
}

// DeleteNode takes a node's leaving. Pods still bound to it are remembered
// until they are gone as well.
func (inv *Inventory) DeleteNode(name string) {
	inv.mu.Lock()
	defer inv.mu.Unlock()
	if old := inv.nodes[name]; old != nil {
		inv.putNode(&Node{Name: name, Held: old.Held, Pods: old.Pods, Holders: old.Holders})
	}
}

// SetTelemetry takes a node's newest sample; one older than what is there is
// ignored, so that two sources cannot turn time back. One from the future is
// taken as from now: a clock that runs ahead must not keep a sample fresh.
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
	inv.refresh(now)
	m := *inv.node(s.Node)
	m.Telemetry, m.fresh = &s, now.Sub(s.Time) <= inv.opts.MaxTelemetryAge
	m.block()
	inv.putNode(&m)
	if stale := s.Time.Add(inv.opts.MaxTelemetryAge); stale.Before(inv.ageing) {
		inv.ageing = stale
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
}

// SetPod takes a new or changed pod, and ends its reservation if it has one.
func (inv *Inventory) SetPod(p *Pod) PodChange {
	inv.mu.Lock()
	defer inv.mu.Unlock()
	old := inv.pods[p.name()]
	if old != nil && old.UID != p.UID {
		old = nil // another pod of the same name
	}
	p = inv.mounted(p.watched(old, inv.opts.Now()))
	inv.replacePod(p.name(), p)
	return PodChange{Record: p, Admitted: inv.fulfil(p), Finished: p.Done && old != nil && !old.Done}
}

// DeletePod takes a pod's leaving.
func (inv *Inventory) DeletePod(namespace, name string) {
	inv.mu.Lock()
	defer inv.mu.Unlock()
	inv.replacePod(types.NamespacedName{Namespace: namespace, Name: name}, nil)
}

// replacePod puts p, or nothing, in the place of the pod of a name wherever
// that counts.
func (inv *Inventory) replacePod(name types.NamespacedName, p *Pod) {
	old := inv.pods[name]
	from, to := old.host(), p.host()
	if from != "" && from == to {
		inv.putNode(inv.node(to).withPod(old, p))
	} else {
		if from != "" {
			inv.putNode(inv.node(from).withPod(old, nil))
		}
		if to != "" {
			inv.putNode(inv.node(to).withPod(nil, p))
		}
	}
	inv.updateQuotas(name.Namespace, old, p)
	waited, left := inv.waiting[name]
	delete(inv.waiting, name)
	delete(inv.pods, name)
	delete(inv.storage.mounting, name)
	if p != nil {
		inv.pods[name] = p
		if len(p.claims) > 0 {
			inv.storage.mounting[name] = struct{}{}
		}
		if p.waits() && inv.schedules(p.Scheduler) {
			inv.waiting[name] = inv.join(p.Needs, p.Constraints, p.Verdict != "")
		}
	}
	if left {
		inv.leave(waited)
	}
}

// schedules reports whether the queue of a scheduler counts. A pod that names
// none is the API server's to complete, and counts.
func (inv *Inventory) schedules(name string) bool {
	return name == "" || len(inv.opts.Schedulers) == 0 || slices.Contains(inv.opts.Schedulers, name)
}

// node returns the record of a node, an empty one if there is none.
func (inv *Inventory) node(name string) *Node {
	if n := inv.nodes[name]; n != nil {
		return n
	}
	return &Node{Name: name}
}

// putNode replaces a node's record by n, which must be nobody else's yet, and
// forgets a node that nothing is known of.
func (inv *Inventory) putNode(n *Node) {
	old := inv.nodes[n.Name]
	if n == old {
		return
	}
	if !n.known && n.Pods == 0 && !n.fresh {
		if old != nil {
			delete(inv.nodes, n.Name)
			inv.places[old.place] = nil
			inv.tableNode(old.place, nil)
		}
		return
	}
	if old != nil {
		n.place = old.place
	} else {
		n.place = inv.vacant()
	}
	inv.nodes[n.Name] = n
	inv.places[n.place] = n
	if old == nil || old.traits != n.traits {
		for _, r := range inv.reaches {
			r.set(n)
		}
	}
	inv.tableNode(n.place, n)
	if n.gained(old) {
		inv.gain()
	}
}

// vacant returns a free place.
func (inv *Inventory) vacant() int {
	if len(inv.places) > len(inv.nodes) {
		for i, n := range inv.places {
			if n == nil {
				return i
			}
		}
	}
	inv.places = append(inv.places, nil)
	return len(inv.places) - 1
}
