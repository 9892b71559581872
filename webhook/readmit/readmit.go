package readmit

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/events"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/inventory"
	"heteroaccel.io/pkg/journal"
	"heteroaccel.io/pkg/policy"
	"heteroaccel.io/pkg/record"
	"heteroaccel.io/webhook/readmit/choice"
	"heteroaccel.io/webhook/readmit/claim"
	"heteroaccel.io/webhook/readmit/pending"
	"heteroaccel.io/webhook/readmit/servers"
	"heteroaccel.io/webhook/readmit/upgrade"
	"heteroaccel.io/webhook/refusals"
	"heteroaccel.io/webhook/replacement"
	"heteroaccel.io/webhook/variant"
)

// Config is what a Readmitter needs; every field is required.
type Config struct {
	Client    kubernetes.Interface
	Inventory *inventory.Inventory
	Options   variant.Source
	Policy    policy.Policy
	// Keys authenticate the records of what was replaced, as they are now.
	Keys func() *record.Keys
	// Namespace is ours, where the records of bare pods are kept.
	Namespace string
	Rules     choice.Rules
	// Recreate is false where no pod is recreated: those that are bound late are moved
	// all the same.
	Recreate bool
	BarePods bool // recreate pods that have no controller
	// DryRun asks the API server before a pod is deleted. Without it pods move
	// only to kinds that their controller has already.
	DryRun bool
	// MoveUp is set where servers are moved to faster kinds, by the rules of Upgrades.
	MoveUp   bool
	Upgrades upgrade.Rules
	// DeletionCosts is set where the slowest of a Deployment's servers are to be deleted
	// first.
	DeletionCosts bool
	// Suspended reports whether somebody has stopped all moves.
	Suspended func() bool
	// Refusals is what is known against kinds; admission reads it too.
	Refusals *refusals.Memory
	// Decided takes what became of a pod: it was recreated or moved, or could not be. nil
	// for nobody.
	Decided  func(journal.Entry)
	Recorder events.EventRecorder
	Registry prometheus.Registerer
	Log      zerolog.Logger
}

// Readmitter recreates pods that wait for the wrong kind. Use New.
type Readmitter struct {
	Config
	metrics *metrics
	// pending follows the feed in every replica: it is what the API server has, whoever
	// leads.
	pending *pending.Pods
	// claims and servers do so too.
	claims  *claim.Claims
	servers *servers.Servers
	// current is the term that runs, nil when there is none.
	current atomic.Pointer[term]
}

// New returns a readmitter; Run runs a term.
func New(c Config) *Readmitter {
	r := &Readmitter{Config: c, pending: pending.NewPods(c.Keys), claims: claim.NewClaims(), servers: servers.New(c.Keys, c.asksForUpgrades), metrics: newMetrics()}
	r.metrics.register(c.Registry, r)
	return r
}

// followsServers reports whether it matters which servers there are.
func (c *Config) followsServers() bool { return c.MoveUp || c.DeletionCosts }

// asksForUpgrades reports whether a profile asks that its servers are moved.
func (c *Config) asksForUpgrades(inference string) bool {
	p, ok := c.Options.Profiles.Get(inference)
	return ok && p.Upgrade
}

// SetPod takes a new or changed pod, whole if it is pending; DeletePod a pod that
// was deleted. The inventory must have it already.
func (r *Readmitter) SetPod(pod *corev1.Pod) {
	bound := false
	if r.Options.Schedules(pod.Spec.SchedulerName) {
		bound = r.pending.Set(pod, time.Now())
	} else { // its scheduler does not ask us
		r.pending.SetForeign(pod)
	}
	server := r.followsServers() && r.servers.Set(pod)
	t := r.current.Load()
	if t == nil {
		return
	}
	if server {
		t.wake()
	}
	if bound {
		r.metrics.ends.bound(pod, r.Keys(), time.Now())
	}
	if id := pod.Annotations[accel.ReservationAnnotation]; id != "" {
		var controller types.UID
		if c := metav1.GetControllerOfNoCopy(pod); c != nil {
			controller = c.UID
		}
		if held := t.expected.Seen(replacement.OriginOf(pod.Namespace, controller, pod.Name), id); held != "" {
			r.Inventory.Release(pod.Namespace, held)
		}
	}
	t.recreator.SetPod(pod)
	t.seen(pod)
}

// SetClaim takes a new or changed ResourceClaim.
func (r *Readmitter) SetClaim(c *resourcev1.ResourceClaim) { r.claims.Set(c) }

// DeleteClaim takes it that a ResourceClaim is gone.
func (r *Readmitter) DeleteClaim(name types.NamespacedName) {
	pod := r.claims.Delete(name)
	if t := r.current.Load(); t != nil {
		t.claimer.Gone(name, pod)
	}
}

// DeletePod takes it that a pod was deleted.
func (r *Readmitter) DeletePod(name types.NamespacedName) {
	r.pending.Delete(name)
	server := r.servers.Delete(name)
	if t := r.current.Load(); t != nil {
		if server {
			t.wake()
		}
		t.recreator.DeletePod(name)
		t.claimer.Look(name)
	}
}

// HeldByOthers is what package servers tells of the Deployment of a ReplicaSet.
func (r *Readmitter) HeldByOthers(namespace, set string) map[accel.Kind]string {
	return r.servers.HeldByOthers(namespace, set)
}

// Replaces tells what a new pod replaces, given its controller's UID, or "", its
// name, and the reservation it would carry. Each expectation is given once, except
// to a controller that tries again because its pod was not created. A caller that
// is not Trusted is lent it, until a pod with that reservation is seen. A dry run,
// which has no reservation, only looks at it.
func (r *Readmitter) Replaces(namespace string, controller types.UID, name, reservation string, trust inventory.Trust) (replacement.Expected, bool) {
	t := r.current.Load()
	if t == nil {
		return replacement.Expected{}, false
	}
	origin := replacement.OriginOf(namespace, controller, name)
	switch {
	case reservation == "":
		return t.expected.Peek(origin, time.Now())
	case trust != inventory.Trusted:
		return t.expected.Lend(origin, reservation, time.Now())
	}
	return t.expected.Match(origin, reservation, time.Now())
}

// Run recreates pods until the term ends whose context ctx is, and returns when
// everything that it began has.
func (r *Readmitter) Run(ctx context.Context) error {
	t := r.newTerm()
	r.current.Store(t)
	defer r.current.Store(nil)
	t.run(ctx)
	return nil
}
