package claim

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	resourcev1 "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	"k8s.io/client-go/util/workqueue"

	"heteroaccel.io/pkg/accel"
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
	known *Claims
	queue workqueue.TypedRateLimitingInterface[types.NamespacedName]

	mu   sync.Mutex
	busy map[types.UID]bool
}

// New returns a claimer of a term.
func New(c Config, known *Claims) *Claimer {
	return &Claimer{
		Config: c, known: known, busy: map[types.UID]bool{},
		queue: workqueue.NewTypedRateLimitingQueue(workqueue.NewTypedItemExponentialFailureRateLimiter[types.NamespacedName](firstRetry, maxRetry)),
	}
}

// Run creates the claims that pending pods lack until ctx ends, and returns when all
// that was begun has.
func (c *Claimer) Run(ctx context.Context) {
	var tasks sync.WaitGroup
	defer tasks.Wait()
	for _, p := range c.All() {
		c.Look(p.Key())
	}
	for range workers {
		tasks.Go(func() { c.work(ctx) })
	}
	<-ctx.Done()
	c.queue.ShutDown()
}

// Look has the claim of a pod looked at: the pod or its claim has changed. It may be
// none of ours.
func (c *Claimer) Look(pod types.NamespacedName) {
	if p := c.Pending(pod); p != nil && p.Claim != "" && !c.known.has(p) {
		c.queue.Add(pod)
	}
}

func (c *Claimer) work(ctx context.Context) {
	for {
		name, shutdown := c.queue.Get()
		if shutdown {
			return
		}
		if ctx.Err() == nil {
			if err := c.sync(ctx, name); err != nil && ctx.Err() == nil {
				c.Pods.Log.Warn().Err(err).Str("pod", name.String()).Msg("create a pod's ResourceClaim: failed, it is tried again")
				c.queue.AddRateLimited(name)
			} else {
				c.queue.Forget(name)
			}
		}
		c.queue.Done(name)
	}
}

// sync creates the claim of a pod, if it lacks one.
func (c *Claimer) sync(ctx context.Context, name types.NamespacedName) error {
	p := c.Pending(name)
	if p == nil || p.Claim == "" || c.known.has(p) {
		return nil
	}
	if !c.begin(p.UID) {
		c.queue.AddAfter(name, firstRetry) // it is being moved
		return nil
	}
	defer c.end(p.UID)
	return c.create(ctx, p)
}

// begin marks a pod as busy, false if it is.
func (c *Claimer) begin(pod types.UID) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.busy[pod] {
		return false
	}
	c.busy[pod] = true
	return true
}

func (c *Claimer) end(pod types.UID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.busy, pod)
}

// Claims are the ResourceClaims of the cluster that pods control, in every replica. Use
// NewClaims.
type Claims struct {
	mu    sync.Mutex
	known map[types.NamespacedName]state
}

// NewClaims returns an empty set.
func NewClaims() *Claims { return &Claims{known: map[types.NamespacedName]state{}} }

// Set takes a new or changed claim.
func (s *Claims) Set(claim *resourcev1.ResourceClaim) {
	s.mu.Lock()
	defer s.mu.Unlock()
	name := types.NamespacedName{Namespace: claim.Namespace, Name: claim.Name}
	if st := stateOf(claim); st.pod != "" {
		s.known[name] = st
	} else {
		delete(s.known, name)
	}
}

// Delete takes it that a claim is gone, and returns the pod that controlled it; its name
// is "" for none.
func (s *Claims) Delete(name types.NamespacedName) (pod types.NamespacedName) {
	s.mu.Lock()
	defer s.mu.Unlock()
	pod = types.NamespacedName{Namespace: name.Namespace, Name: s.known[name].podName}
	delete(s.known, name)
	return pod
}

// has reports whether a pod has the claim for its kind, or one that is allocated, which
// is never replaced.
func (s *Claims) has(p *pending.Pod) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, ok := s.known[types.NamespacedName{Namespace: p.Namespace, Name: p.Claim}]
	return ok && c.pod == p.UID && (c.allocated || c.request == requestName(p.Template.Kind))
}

// foreign is the error of a claim of the pod's that is somebody else's.
type foreign struct{ claim string }

func (f foreign) Error() string {
	return fmt.Sprintf("ResourceClaim %s is not this pod's, and the pod waits: delete that claim, or the pod", f.claim)
}

// denied notes that the API server refuses the claim of a pod for a kind.
func (c *Claimer) denied(p *pending.Pod, kind accel.Kind, err error) {
	c.Refusals.Denied(p.RefusalOwner(), kind, err.Error())
	c.Wake()
}
