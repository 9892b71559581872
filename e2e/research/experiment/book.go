package main

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"

	"heteroaccel.io/pkg/accel"
)

// run is what became of a request. Its times are those at which the watch of
// the pods told.
type run struct {
	*request
	submitted, started, ended time.Time
	kind                      accel.Kind
	// waited is set when kube-scheduler found no node for it at first, and made
	// counts how often it was recreated for another kind.
	waited bool
	made   int
	// bound is when its pod was seen bound, and moved is set if that had another kind
	// before without being recreated.
	bound time.Time
	moved bool
}

// book keeps the runs by the names of their pods.
type book struct {
	mu   sync.Mutex
	runs map[string]*entry
	// servers are the connector's pods, by name.
	servers map[string]*server
	err     error
}

type entry struct {
	run
	uid      types.UID
	selected string // by its annotation
	done     chan struct{}
}

// follow keeps a book of the pods of a namespace until ctx ends.
func follow(ctx context.Context, client kubernetes.Interface, namespace string) (*book, error) {
	b := &book{runs: map[string]*entry{}, servers: map[string]*server{}}
	factory := informers.NewSharedInformerFactoryWithOptions(client, 0, informers.WithNamespace(namespace))
	informer := factory.Core().V1().Pods().Informer()
	handled, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(o any) { b.see(o.(*corev1.Pod), time.Now()) },
		UpdateFunc: func(_, o any) { b.see(o.(*corev1.Pod), time.Now()) },
	})
	if err != nil {
		return nil, fmt.Errorf("watch the pods: %w", err)
	}
	factory.StartWithContext(ctx)
	if !cache.WaitForCacheSync(ctx.Done(), handled.HasSynced) {
		return nil, fmt.Errorf("watch the pods: %w", context.Cause(ctx))
	}
	return b, nil
}

// expect enters a request before its pod is created; done is closed when that
// has ended.
func (b *book) expect(r *request, now time.Time) (done <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	e := &entry{run: run{request: r, submitted: now}, done: make(chan struct{})}
	b.runs[r.name] = e
	return e.done
}

// see takes a new or changed pod. A pod that is recreated has the name of the
// one before it.
func (b *book) see(p *corev1.Pod, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	e := b.runs[p.Name]
	if e == nil {
		b.seeServer(p)
		return
	}
	if e.uid != p.UID {
		if e.uid != "" {
			e.made++
		}
		e.uid, e.selected, e.bound = p.UID, "", time.Time{}
	}
	selected := p.Annotations[accel.SelectedAnnotation]
	e.moved = e.moved || e.selected != "" && e.selected != selected
	if e.selected = selected; p.Spec.NodeName != "" && e.bound.IsZero() {
		e.bound = now
	}
	e.waited = e.waited || unschedulable(p)
	if p.DeletionTimestamp != nil {
		return // to be recreated, or the end of the experiment
	}
	switch p.Status.Phase {
	case corev1.PodRunning, corev1.PodSucceeded:
		if e.started.IsZero() {
			e.started = now
			kind, err := ranOn(p)
			if e.kind = kind; err != nil && b.err == nil {
				b.err = err
			}
		}
		if p.Status.Phase == corev1.PodSucceeded && e.ended.IsZero() {
			e.ended = now
			close(e.done)
		}
	case corev1.PodFailed:
		if b.err == nil {
			b.err = fmt.Errorf("pod %s failed: %s %s", p.Name, p.Status.Reason, p.Status.Message)
		}
	}
}

// unschedulable reports whether kube-scheduler has found no node for a pod.
func unschedulable(p *corev1.Pod) bool {
	return slices.ContainsFunc(p.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodScheduled && c.Reason == corev1.PodReasonUnschedulable
	})
}

// all returns the runs, and what was wrong with one of them.
func (b *book) all() ([]run, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	runs := make([]run, 0, len(b.runs))
	for _, e := range b.runs {
		runs = append(runs, e.run)
	}
	return runs, b.err
}
