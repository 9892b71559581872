package readmit

import (
	"context"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/events"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/inventory"
	"heteroaccel.io/pkg/policy"
	"heteroaccel.io/pkg/record"
	"heteroaccel.io/webhook/readmit/barepod"
	"heteroaccel.io/webhook/readmit/choice"
	"heteroaccel.io/webhook/readmit/pending"
	"heteroaccel.io/webhook/readmit/podapi"
	"heteroaccel.io/webhook/readmit/recreate"
	"heteroaccel.io/webhook/readmit/requeue"
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
	// Ready says why nothing can be decided here now: the cluster is not known
	// yet, or another replica decides.
	Ready    func() error
	Rules    choice.Rules
	BarePods bool // recreate pods that have no controller
	// DryRun asks the API server before a pod is deleted. Without it pods move
	// only to kinds that their controller has already.
	DryRun bool
	// Suspended reports whether somebody has stopped all moves.
	Suspended func() bool
	// Refusals is what is known against kinds; admission reads it too.
	Refusals *refusals.Memory
	Recorder events.EventRecorder
	Registry prometheus.Registerer
	Log      zerolog.Logger
}

// Readmitter recreates pods that wait for the wrong kind. Use New.
type Readmitter struct {
	Config
	metrics *metrics
	woken   chan struct{}
	// workers bounds how many pods are recreated at once.
	workers chan struct{}
	// tasks are what a term runs besides its loop.
	tasks sync.WaitGroup

	// Each of these has a lock of its own, or needs none.
	pending   *pending.Pods
	expected  *replacement.Expectations
	attempts  *attempts
	recreator *recreate.Recreator
	bare      *barepod.Recreator

	// These belong to the goroutine of the loop.
	requeuer    *requeue.Requeuer
	optionCache map[*pending.Template]*cachedOptions
}

const (
	// maxWorkers is how many pods are recreated at the same time.
	maxWorkers = 16
	// settle is how long changes are gathered before they are looked at.
	settle = 10 * time.Millisecond
	// tick is the safety net under the inventory's wakeups.
	tick = 5 * time.Second
)

// New returns a readmitter; Run runs it.
func New(c Config) *Readmitter {
	r := &Readmitter{
		Config: c, woken: make(chan struct{}, 1), workers: make(chan struct{}, maxWorkers),
		pending: pending.NewPods(c.Keys), expected: &replacement.Expectations{}, attempts: newAttempts(), metrics: newMetrics(),
		optionCache: map[*pending.Template]*cachedOptions{},
	}
	pods := &podapi.Client{Interface: c.Client, Log: c.Log}
	r.bare = barepod.New(barepod.Config{
		Pods: pods, Namespace: c.Namespace, Expected: r.expected, Refusals: c.Refusals,
		Release: c.Inventory.Release, Profiles: c.Options.Profiles, Recorder: c.Recorder, Go: r.tasks.Go,
	})
	r.recreator = recreate.New(recreate.Config{
		Pods: pods, Options: c.Options, Inventory: c.Inventory, Refusals: c.Refusals, Expected: r.expected,
		Bare: r.bare, Admitted: r.pending.Admitted, Keys: c.Keys, DryRun: c.DryRun, Verdicts: r.metrics.verdicts,
	})
	r.requeuer = requeue.New(requeue.Config{
		Pods: pods, Refusals: c.Refusals, Requeues: r.metrics.requeues, Verdicts: r.metrics.verdicts, Go: r.tasks.Go,
	})
	r.metrics.register(c.Registry, r)
	return r
}

// SetPod takes a new or changed pod, whole if it is pending; DeletePod a pod that
// was deleted. The inventory must have it already.
func (r *Readmitter) SetPod(pod *corev1.Pod) {
	if r.Options.Schedules(pod.Spec.SchedulerName) {
		r.pending.Set(pod, time.Now())
	} else { // its scheduler does not ask us
		r.pending.SetForeign(pod)
	}
	if id := pod.Annotations[accel.ReservationAnnotation]; id != "" {
		var controller types.UID
		if c := metav1.GetControllerOfNoCopy(pod); c != nil {
			controller = c.UID
		}
		if held := r.expected.Seen(replacement.OriginOf(pod.Namespace, controller, pod.Name), id); held != "" {
			r.Inventory.Release(pod.Namespace, held)
		}
	}
	r.recreator.SetPod(pod)
}

// DeletePod takes it that a pod was deleted.
func (r *Readmitter) DeletePod(name types.NamespacedName) {
	r.pending.Delete(name)
	r.recreator.DeletePod(name)
}

// Replaces tells what a new pod replaces, given its controller's UID, or "", its
// name, and the reservation it would carry. Each expectation is given once, except
// to a controller that tries again because its pod was not created. A caller that
// is not Trusted is lent it, until a pod with that reservation is seen. A dry run,
// which has no reservation, only looks at it.
func (r *Readmitter) Replaces(namespace string, controller types.UID, name, reservation string, trust inventory.Trust) (replacement.Expected, bool) {
	origin := replacement.OriginOf(namespace, controller, name)
	switch {
	case reservation == "":
		return r.expected.Peek(origin, time.Now())
	case trust != inventory.Trusted:
		return r.expected.Lend(origin, reservation, time.Now())
	}
	return r.expected.Match(origin, reservation, time.Now())
}

// Run recreates pods whenever this replica is the one that decides, until
// ctx ends.
func (r *Readmitter) Run(ctx context.Context) error {
	check := time.NewTicker(200 * time.Millisecond)
	defer check.Stop()
	for {
		if r.Ready() == nil {
			r.term(ctx)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-check.C:
		}
	}
}

// term works until this replica is no longer ready, or ctx ends.
func (r *Readmitter) term(ctx context.Context) {
	ctx, end := context.WithCancel(ctx)
	defer r.tasks.Wait()
	defer end()
	r.tasks.Go(func() { r.bare.Recover(ctx) })
	r.tasks.Go(func() { r.recreator.Recover(ctx) })
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	check := time.NewTicker(100 * time.Millisecond)
	defer check.Stop()
	due := time.NewTimer(0)
	defer due.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-check.C:
			if r.Ready() != nil {
				return
			}
			continue
		case <-r.Inventory.Wakeups():
			due.Reset(settle)
			continue
		case <-r.woken:
			due.Reset(settle)
			continue
		case <-ticker.C:
		case <-due.C:
		}
		if next := r.pass(ctx, time.Now()); next > 0 {
			due.Reset(next)
		}
	}
}
