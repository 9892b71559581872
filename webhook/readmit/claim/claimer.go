package claim

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	"k8s.io/client-go/util/workqueue"

	"heteroaccel.io/pkg/record"
	"heteroaccel.io/webhook/readmit/pending"
	"heteroaccel.io/webhook/readmit/podapi"
	"heteroaccel.io/webhook/refusals"
	"heteroaccel.io/webhook/variant"
)

const (
	// workers is how many claims are created at a time.
	workers = 16
	// firstRetry doubles with each claim of a pod that could not be created, up to
	// maxRetry.
	firstRetry, maxRetry = 50 * time.Millisecond, 30 * time.Second
)

// Config is what a Claimer needs; every field is required.
type Config struct {
	Pods     *podapi.Client
	Options  variant.Source
	Refusals *refusals.Memory
	// Pending returns a pending pod, nil if there is none of that name.
	Pending func(types.NamespacedName) *pending.Pod
	// All are the pending pods.
	All func() []*pending.Pod
	// Keys authenticate the records of pods, as they are now.
	Keys func() *record.Keys
	// Wake makes whoever moves pods look again.
	Wake     func()
	Recorder events.EventRecorder
	// Created counts the claims that were created, by whether it was done.
	Created *prometheus.CounterVec
}

// Claimer creates and replaces claims in one term. Use New.
type Claimer struct {
	Config
	known   *Claims
	queue   workqueue.TypedDelayingInterface[types.NamespacedName]
	retries workqueue.TypedRateLimiter[types.NamespacedName]
	denials denials
	pauses  pauses

	mu   sync.Mutex
	busy map[types.NamespacedName]bool
	// contested are the pods which somebody else may be moving, or which lost a claim:
	// by name, with when we deleted it, zero if somebody else did.
	contested map[types.NamespacedName]time.Time
}

// New returns a claimer of a term.
func New(c Config, known *Claims) *Claimer {
	return &Claimer{
		Config: c, known: known, busy: map[types.NamespacedName]bool{}, contested: map[types.NamespacedName]time.Time{},
		queue:   workqueue.NewTypedDelayingQueue[types.NamespacedName](),
		retries: workqueue.NewTypedItemExponentialFailureRateLimiter[types.NamespacedName](firstRetry, maxRetry),
	}
}

// Run creates the claims that pending pods lack until ctx ends, and returns when all
// that was begun has. Those that it finds without one may have been given up by an
// earlier term between two steps, and may be on their way in one that has not noticed
// that it is over.
func (c *Claimer) Run(ctx context.Context) {
	var tasks sync.WaitGroup
	defer tasks.Wait()
	for _, p := range c.All() {
		c.contest(p.Key(), time.Time{})
		c.Look(p.Key())
	}
	for range workers {
		tasks.Go(func() { c.work(ctx) })
	}
	<-ctx.Done()
	c.queue.ShutDown()
}

// Look has the claim of a pod looked at: the pod is new, has changed or is gone. It may
// be none of ours.
func (c *Claimer) Look(pod types.NamespacedName) {
	if p := c.Pending(pod); p != nil && p.Claim != "" && !c.known.has(p) {
		c.queue.Add(pod)
		return
	}
	c.forget(pod)
}

// Gone takes it that a claim is gone which a pod controlled, if its name is not "".
func (c *Claimer) Gone(claim, pod types.NamespacedName) {
	if pod.Name == "" {
		if pod = c.denials.waitsFor(claim); pod.Name == "" {
			return
		}
	}
	if _, known := c.isContested(pod); !known {
		c.contest(pod, time.Time{})
	}
	c.pauses.lift(pod)
	c.Look(pod)
}

// Denied reports whether the API server denies a pod its claim for the kind that it waits
// for: it is stuck there. Its owner knows.
func (c *Claimer) Denied(p *pending.Pod) bool { return c.denials.denied(p) }

// Told reports whether a pod's owner was told why it has no claim.
func (c *Claimer) Told(p *pending.Pod) bool { return c.denials.told(p) }

func (c *Claimer) work(ctx context.Context) {
	for {
		name, shutdown := c.queue.Get()
		if shutdown {
			return
		}
		if ctx.Err() == nil {
			c.attempt(ctx, name)
		}
		c.queue.Done(name)
	}
}

// attempt creates the claim of a pod, unless it is too soon to try again, and sees to it
// that what fails is tried again.
func (c *Claimer) attempt(ctx context.Context, name types.NamespacedName) {
	p := c.Pending(name)
	if p != nil {
		if wait := c.pauses.left(p, time.Now()); wait > 0 {
			c.queue.AddAfter(name, wait)
			return
		}
	}
	c.pauses.end(name)
	err := c.sync(ctx, name)
	if err == nil || p == nil || ctx.Err() != nil {
		c.retries.Forget(name)
		return
	}
	if !errors.Is(err, errCounted) {
		c.Pods.Log.Warn().Err(err).Str("pod", name.String()).Msg("create a pod's ResourceClaim: failed, it is tried again")
	}
	c.tryAgain(p, c.retries.When(name))
}

// tryAgain has the claim of a pod tried again after a pause, and not before.
func (c *Claimer) tryAgain(p *pending.Pod, after time.Duration) {
	c.pauses.begin(p, time.Now().Add(after))
	c.queue.AddAfter(p.Key(), after)
}

// sync creates the claim of a pod, if it lacks one.
func (c *Claimer) sync(ctx context.Context, name types.NamespacedName) error {
	p := c.Pending(name)
	if p == nil || p.Claim == "" || c.known.has(p) {
		c.forget(name)
		return nil
	}
	if !c.begin(name) {
		c.queue.AddAfter(name, firstRetry) // it is being moved
		return nil
	}
	defer c.end(name)
	return c.ensure(ctx, p)
}

// begin marks a pod as busy, false if it is.
func (c *Claimer) begin(pod types.NamespacedName) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.busy[pod] {
		return false
	}
	c.busy[pod] = true
	return true
}

func (c *Claimer) end(pod types.NamespacedName) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.busy, pod)
}

// contest marks a pod as contested; deleted is when we deleted its claim, or zero.
func (c *Claimer) contest(pod types.NamespacedName, deleted time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.contested[pod] = deleted
}

// isContested returns whether a pod is contested, and when we deleted its claim.
func (c *Claimer) isContested(pod types.NamespacedName) (deleted time.Time, contested bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	deleted, contested = c.contested[pod]
	return deleted, contested
}

// forget forgets a pod that has its claim, or needs none any more. Of one that is being
// worked on, what is known stays.
func (c *Claimer) forget(pod types.NamespacedName) {
	c.mu.Lock()
	if !c.busy[pod] {
		delete(c.contested, pod)
	}
	c.mu.Unlock()
	c.denials.forget(pod)
	c.pauses.end(pod)
}
