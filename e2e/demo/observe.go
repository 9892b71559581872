package main

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/tools/cache"

	"heteroaccel.io/e2e/stack"
)

// observed is when the API server told of the steps of the first server in the
// session namespace.
type observed struct {
	mu sync.Mutex
	served
}

type served struct {
	pod                          *corev1.Pod // as it was told of last
	created, bound, ready, given time.Time
}

// observe watches the session namespace until ctx ends.
func observe(ctx context.Context, s *stack.Stack) (*observed, error) {
	o := &observed{}
	factory := informers.NewSharedInformerFactoryWithOptions(s.Client(), 0, informers.WithNamespace(stack.SessionNamespace))
	var synced []cache.InformerSynced
	for informer, see := range map[cache.SharedIndexInformer]func(any){
		factory.Core().V1().Pods().Informer():           func(obj any) { o.seePod(obj.(*corev1.Pod)) },
		factory.Coordination().V1().Leases().Informer(): func(obj any) { o.seeLease(obj.(*coordinationv1.Lease)) },
	} {
		handled, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
			AddFunc: see, UpdateFunc: func(_, obj any) { see(obj) },
		})
		if err != nil {
			return nil, fmt.Errorf("watch the sessions: %w", err)
		}
		synced = append(synced, handled.HasSynced)
	}
	factory.StartWithContext(ctx)
	if !cache.WaitForCacheSync(ctx.Done(), synced...) {
		return nil, fmt.Errorf("watch the sessions: %w", context.Cause(ctx))
	}
	return o, nil
}

// first sets a time that is not set yet.
func first(t *time.Time, so bool) {
	if so && t.IsZero() {
		*t = time.Now()
	}
}

func (o *observed) seePod(p *corev1.Pod) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.pod != nil && o.pod.UID != p.UID {
		return
	}
	o.pod = p
	ready := false
	for _, c := range p.Status.Conditions {
		ready = ready || c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
	}
	first(&o.created, true)
	first(&o.bound, p.Spec.NodeName != "")
	first(&o.ready, ready)
}

// seeLease sees a session, which is a Lease that its server holds.
func (o *observed) seeLease(l *coordinationv1.Lease) {
	o.mu.Lock()
	defer o.mu.Unlock()
	first(&o.given, o.pod != nil && l.Spec.HolderIdentity != nil && *l.Spec.HolderIdentity == o.pod.Name)
}

// all returns what was observed, and what is missing.
func (o *observed) all() (served, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.pod == nil || o.bound.IsZero() || o.ready.IsZero() || o.given.IsZero() {
		return o.served, fmt.Errorf("the API server has not told of every step: bound %v, ready %v, given to its session %v", !o.bound.IsZero(), !o.ready.IsZero(), !o.given.IsZero())
	}
	return o.served, nil
}

// decisions are how long the webhook's decisions took in all, and how many there
// were.
func decisions(ctx context.Context, s *stack.Stack) (took time.Duration, n int, err error) {
	const metric = "heteroaccel_webhook_decision_duration_seconds_"
	values, err := stack.Metrics(ctx, s.URL("webhook status", "/metrics"))
	return time.Duration(values[metric+"sum"] * float64(time.Second)), int(values[metric+"count"]), err
}

// filterCall is kube-scheduler's call of the extender for a pod.
type filterCall struct {
	Time             time.Time
	Passed, Rejected int
}

// asked is the last call for a pod, as the extender's pages have it.
func asked(ctx context.Context, s *stack.Stack, pod string) (filterCall, error) {
	var page struct{ Filter *filterCall }
	text, err := stack.Get(ctx, s.URL("extender", "/pods/"+stack.SessionNamespace+"/"+pod+"?format=json"))
	if err == nil {
		err = json.Unmarshal([]byte(text), &page)
	}
	if err == nil && page.Filter == nil {
		err = fmt.Errorf("the extender was not asked about %s", pod)
	}
	if err != nil {
		return filterCall{}, fmt.Errorf("read the extender's page: %w", err)
	}
	return *page.Filter, nil
}

// noneLeft waits until no server is there any more.
func noneLeft(ctx context.Context, s *stack.Stack) error {
	pods, err := s.Client().CoreV1().Pods(stack.SessionNamespace).List(ctx, metav1.ListOptions{})
	if err == nil && len(pods.Items) > 0 {
		err = fmt.Errorf("%d servers are left", len(pods.Items))
	}
	return err
}
