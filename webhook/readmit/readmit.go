package readmit

import (
	"context"
	"crypto/rand"
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
	"heteroaccel.io/pkg/kube"
	"heteroaccel.io/pkg/policy"
	"heteroaccel.io/webhook/readmit/choice"
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
	// Key authenticates the records of what was replaced.
	Key []byte
	// Namespace is ours, where the records of bare pods are kept.
	Namespace string
	// Ready says why nothing can be decided here now: the cluster is not known
	// yet, or another replica decides.
	Ready    func() error
	Rules    choice.Rules
	BarePods bool // recreate pods that have no controller
	// DryRun has the API server be asked before a pod is given up. Without it
	// only kinds are moved to that the pod's controller has already.
	DryRun bool
	// Suspended reports whether somebody has stopped all moves.
	Suspended func() bool
	// Refusals is what is known against kinds; admission reads it too.
	Refusals *refusals.Memory
	Recorder events.EventRecorder
	Registry prometheus.Registerer
	Log      zerolog.Logger
}

// Readmitter recreates pods that wait for the wrong kind.
type Readmitter struct {
	Config
	metrics *metrics
	wake    chan struct{}
	// working bounds how many pods are recreated at once.
	working chan struct{}
	// tasks are what a term has going besides its loop.
	tasks sync.WaitGroup

	// holder is how this process signs the records that it goes on with.
	holder string

	// expected are the replacements that have not been seen; it has a lock of its
	// own.
	expected replacement.Expectations

	mu     sync.Mutex
	book   book
	states map[types.UID]*state
	// slots are the names under which a record can be kept, with the namespace
	// of the pod whose record it is, "" for none.
	slots map[string]string
	// followed are the pods that a re-admission waits for news of.
	followed map[types.NamespacedName]*follow
	// strayed is sent to when a successor is seen that no re-admission of this
	// process is about.
	strayed chan struct{}

	// publishing is held while unwanted is written.
	publishing sync.Mutex
	// unwanted are the pods of records that the API server refuses, by slot.
	unwanted map[string]kube.NotRecreated

	// What follows is the loop's alone.
	ways   map[*class]*ways
	usable map[*class]time.Time
}

const (
	// atOnce is how many pods are recreated at the same time.
	atOnce = 16
	// lull is how long changes are gathered before they are looked at.
	lull = 10 * time.Millisecond
	// tick is the safety net under the inventory's changes.
	tick = 5 * time.Second
	// sweep is how often pods are looked for that were released and not deleted.
	sweep = 5 * time.Minute
	// pause is how long a pod is left alone after a try that failed.
	pause = 5 * time.Second
)

// New returns a readmitter; Run runs it.
func New(c Config) *Readmitter {
	r := &Readmitter{
		Config: c, wake: make(chan struct{}, 1), working: make(chan struct{}, atOnce),
		book: newBook(), states: map[types.UID]*state{}, slots: map[string]string{}, holder: rand.Text(),
		followed: map[types.NamespacedName]*follow{}, strayed: make(chan struct{}, 1), unwanted: map[string]kube.NotRecreated{},
		ways: map[*class]*ways{}, usable: map[*class]time.Time{},
	}
	r.metrics = newMetrics(c.Registry, r)
	return r
}

// SetPod takes a new or changed pod, whole if it waits; DeletePod its leaving.
// The inventory must have it already.
func (r *Readmitter) SetPod(pod *corev1.Pod) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.Options.Schedules(pod.Spec.SchedulerName) {
		r.book.set(pod, r.Key, time.Now())
	} else { // its scheduler does not ask us
		r.book.pass(pod, r.Key)
	}
	if id := pod.Annotations[accel.ReservationAnnotation]; id != "" {
		var controller types.UID
		if c := metav1.GetControllerOfNoCopy(pod); c != nil {
			controller = c.UID
		}
		r.expected.Seen(replacement.OriginOf(pod.Namespace, controller, pod.Name), id)
	}
	r.sight(pod)
}

// DeletePod takes a pod's leaving.
func (r *Readmitter) DeletePod(name types.NamespacedName) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.book.remove(name)
	r.lose(name)
}

// Replaces tells in whose place a new pod comes, given its controller's UID,
// or "", its name, and the reservation it would carry. Each ticket is given
// once, but for a controller that asks again since nothing came of it. A dry
// run, which has no reservation, only looks at it.
func (r *Readmitter) Replaces(namespace string, owner types.UID, name, reservation string) (replacement.Expected, bool) {
	origin := replacement.OriginOf(namespace, owner, name)
	if reservation == "" {
		return r.expected.Peek(origin, time.Now())
	}
	return r.expected.Match(origin, reservation, time.Now())
}

// Run recreates pods whenever this replica is the one that decides, until
// ctx ends.
func (r *Readmitter) Run(ctx context.Context) error {
	const often = 200 * time.Millisecond
	watch := time.NewTicker(often)
	defer watch.Stop()
	for {
		if r.Ready() == nil {
			r.term(ctx)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-watch.C:
		}
	}
}

// term works until this replica is no longer ready, or ctx ends.
func (r *Readmitter) term(ctx context.Context) {
	ctx, end := context.WithCancel(ctx)
	defer r.tasks.Wait()
	defer end()
	r.tasks.Go(func() { r.recoverRecords(ctx) })
	r.tasks.Go(func() { r.sweepOften(ctx) })
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
			due.Reset(lull)
			continue
		case <-r.wake:
			due.Reset(lull)
			continue
		case <-ticker.C:
		case <-due.C:
		}
		if next := r.pass(ctx, time.Now()); next > 0 {
			due.Reset(next)
		}
	}
}

// pass looks at every pod that waits, once, and sets those going that would
// gain. It returns in how long it wants to look again by itself, 0 for not.
func (r *Readmitter) pass(ctx context.Context, now time.Time) (next time.Duration) {
	lines := r.lines(now)
	var turns []turn
	standing := map[*class]*line{}
	for _, l := range lines {
		for _, soon := range []time.Duration{r.believe(l, now), r.retry(ctx, l, now)} {
			if soon > 0 && (next == 0 || soon < next) {
				next = soon
			}
		}
		if _, gain := choice.Better(r.Policy, l.candidates, l.class.kind, r.Rules.Margin); gain > 0 {
			standing[l.class] = l
			for _, w := range l.waiters {
				turns = append(turns, turn{w, gain})
			}
		}
	}
	if len(turns) == 0 || r.Suspended() {
		return next
	}
	before := ahead(flat(lines))
	order(turns, now, r.Rules.Patience)
	for _, t := range turns {
		l := standing[t.class]
		if l == nil {
			continue // nothing is left for its class
		}
		if wait := r.rests(t.waiter, now); wait > 0 {
			if next == 0 || wait < next {
				next = wait
			}
			continue
		}
		if !r.gains(l, t.waiter, before[t.waiter]) {
			continue
		}
		if len(r.working) == cap(r.working) {
			return next // whoever ends wakes us
		}
		if !r.move(ctx, t.waiter, l, before[t.waiter], now) {
			l.candidates = r.Inventory.Candidates(l.query())
			if _, gain := choice.Better(r.Policy, l.candidates, l.class.kind, r.Rules.Margin); gain == 0 {
				delete(standing, t.class)
			}
		}
	}
	return next
}

// rests is how much longer a pod is left alone, 0 when it is not.
func (r *Readmitter) rests(w *waiter, now time.Time) time.Duration {
	until := r.Rules.EligibleAt(w.created, w.count)
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.book.own(w) || w.optOut || w.owner == ownerNone && !r.BarePods {
		return tick
	}
	if s := r.states[w.uid]; s != nil {
		if s.busy {
			return tick // it wakes us when it is done
		}
		if s.until.After(until) {
			until = s.until
		}
	}
	return max(0, until.Sub(now))
}

// against marks, in candidates that are nobody else's, what the API server is
// known to refuse the pods of a waiter's controller.
func (r *Readmitter) against(w *waiter, candidates []inventory.Candidate) []inventory.Candidate {
	for i := range candidates {
		if c := &candidates[i]; c.Refused == nil {
			c.Refused = r.Refusals.Refusal(w.refused(), "", c.Kind)
		}
	}
	return candidates
}

// gains reports whether one pod of a line would gain, with so many before it.
// It takes no lock: most of a long queue may be better off waiting.
func (r *Readmitter) gains(l *line, w *waiter, before int64) bool {
	to, _ := choice.Better(r.Policy, r.against(w, choice.AtPosition(l.candidates, w.class.kind, before)), w.class.kind, r.Rules.Margin+overhead[w.owner])
	return to >= 0
}
