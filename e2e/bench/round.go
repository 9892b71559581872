package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/tools/cache"

	"heteroaccel.io/e2e/bench/report"
)

// measure has every load take turns, ours and by hand, and then creates pods one at a
// time.
func (x *site) measure(ctx context.Context, s settings, run *report.Run) error {
	for turn := range s.rounds {
		for _, l := range loadsOf(s.loads, x.late) {
			for _, way := range []string{report.Ours, report.Hand} {
				if way == report.Hand && l.name == "any" {
					continue // nobody can write by hand what depends on who is idle
				}
				r, err := x.round(ctx, l, way, s.pods, fmt.Sprintf("r%d", turn))
				if err != nil {
					return fmt.Errorf("%d nodes, %s %s: %w", x.nodes, l.name, way, err)
				}
				run.Rounds = append(run.Rounds, r)
				fmt.Fprintf(x.out, "%d nodes, round %d, %s %s: %.0f pods created a second, %.0f bound\n", x.nodes, turn+1, l.name, way, r.Created, r.Bound)
			}
		}
	}
	if s.latency == 0 {
		return nil
	}
	for _, way := range []string{report.Ours, report.Hand} {
		took, err := x.oneByOne(ctx, way, s.latency, s.pods)
		if err != nil {
			return fmt.Errorf("%d nodes, one at a time %s: %w", x.nodes, way, err)
		}
		l := report.LatencyOf(way, x.nodes, took)
		l.Late = x.late
		run.Latencies = append(run.Latencies, l)
	}
	return nil
}

// round creates the pods of a load while kube-scheduler is stopped, lets it go, waits
// until all are bound, and deletes them.
func (x *site) round(ctx context.Context, l load, way string, pods int, name string) (r report.Round, err error) {
	pod, err := x.writer(ctx, l, way)
	if err != nil {
		return r, err
	}
	if l.admits && way == report.Ours {
		given, err := x.given(ctx, l)
		if err != nil {
			return r, err
		}
		w, err := x.instantWebhook(ctx, given)
		if err != nil {
			return r, err
		}
		defer func() {
			if gone := x.unregister(ctx, w); err == nil {
				err = gone
			}
		}()
	}
	x.StopScheduler()
	bound, err := x.follow(ctx, pods)
	if err != nil {
		return r, err
	}
	defer bound.Stop()
	before, err := x.spent(ctx)
	if err != nil {
		return r, err
	}
	began := time.Now()
	err = x.many(ctx, pods, func(ctx context.Context, i int) error {
		_, err := x.Client().CoreV1().Pods(namespace).Create(ctx, pod(fmt.Sprintf("%s-%05d", name, i)), metav1.CreateOptions{})
		return err
	})
	if err != nil {
		return r, fmt.Errorf("create the pods: %w", err)
	}
	r = report.Round{Load: l.name, Way: way, Nodes: x.nodes, Pods: pods, Created: float64(pods) / time.Since(began).Seconds()}
	if err := x.let(ctx, way, l.asks); err != nil {
		return r, err
	}
	first, last, err := bound.all(ctx, pods)
	if err != nil {
		return r, err
	}
	r.Bound = float64(pods-1) / last.Sub(first).Seconds()
	after, err := x.spent(ctx)
	if err != nil {
		return r, err
	}
	r.CPU, r.Requests, r.Batches = after.since(before, pods)
	return r, x.deleteAll(ctx, pods)
}

// bindings are the pods that are bound, as the API server tells.
type bindings struct {
	at   chan time.Time // when each was seen to be
	seen int
	stop context.CancelFunc
	done func()
}

// follow watches for the bindings of at most so many pods from now on.
func (x *site) follow(ctx context.Context, pods int) (*bindings, error) {
	ctx, stop := context.WithCancel(ctx)
	factory := informers.NewSharedInformerFactoryWithOptions(x.Client(), 0, informers.WithNamespace(namespace),
		informers.WithTweakListOptions(func(o *metav1.ListOptions) { o.FieldSelector = "spec.nodeName!=" }))
	b := &bindings{at: make(chan time.Time, pods), stop: stop, done: factory.Shutdown}
	handled, err := factory.Core().V1().Pods().Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: func(any) { b.at <- time.Now() },
	})
	if err == nil {
		factory.StartWithContext(ctx)
		if !cache.WaitForCacheSync(ctx.Done(), handled.HasSynced) {
			err = context.Cause(ctx)
		}
	}
	if err != nil {
		b.Stop()
		return nil, fmt.Errorf("watch the pods: %w", err)
	}
	return b, nil
}

// Stop ends the watch.
func (b *bindings) Stop() {
	b.stop()
	b.done()
}

// all waits until so many pods are bound, and returns when the first and the last were
// seen to be.
func (b *bindings) all(ctx context.Context, pods int) (first, last time.Time, err error) {
	for range pods {
		if last, err = b.next(ctx); err != nil {
			return first, last, fmt.Errorf("%d of %d pods are bound: %w", b.seen, pods, err)
		}
		if first.IsZero() {
			first = last
		}
	}
	return first, last, nil
}

// next waits until one more pod is bound.
func (b *bindings) next(ctx context.Context) (time.Time, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, limit, errors.New("no further pod was bound for "+limit.String()))
	defer cancel()
	select {
	case at := <-b.at:
		b.seen++
		return at, nil
	case <-ctx.Done():
		return time.Time{}, context.Cause(ctx)
	}
}

// oneByOne creates pods that may have a GPU, each once the one before is bound, and
// returns how long each took.
func (x *site) oneByOne(ctx context.Context, way string, n, all int) (took []time.Duration, err error) {
	pod, err := x.writer(ctx, x.gpu(), way)
	if err != nil {
		return nil, err
	}
	if err := x.let(ctx, way, extender); err != nil {
		return nil, err
	}
	bound, err := x.follow(ctx, n)
	if err != nil {
		return nil, err
	}
	defer bound.Stop()
	for i := range n {
		began := time.Now()
		if _, err := x.Client().CoreV1().Pods(namespace).Create(ctx, pod(fmt.Sprintf("one-%05d", i)), metav1.CreateOptions{}); err != nil {
			return nil, err
		}
		at, err := bound.next(ctx)
		if err != nil {
			return nil, err
		}
		took = append(took, at.Sub(began))
	}
	return took, x.deleteAll(ctx, all)
}
