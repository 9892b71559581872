//go:build faults

package faults

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"heteroaccel.io/e2e/poll"
	"heteroaccel.io/e2e/soak/ledger"
)

// wave is one round of load. All devices are held when pods come that may have a GPU
// or an NPU, of every sort of owner; they wait for GPUs. Jobs come that may run
// anywhere, and one that may have a GPU alone. Then NPUs free, to which those that
// wait have to be moved, and at last a GPU.
type wave struct {
	// mended, if given, is called before the checks: from then on nothing breaks
	// any more.
	mended func()
	// during, if given, is called when a part of the load waits and the rest is about
	// to be created; with later, when all of it is there. Then devices free.
	during func()
	later  bool
}

func (x *site) wave(t *testing.T, w wave) {
	t.Helper()
	x.waves++
	began := time.Now()
	defer func() { t.Logf("wave %d took %s", x.waves, time.Since(began).Round(100*time.Millisecond)) }()
	x.sweep(t)
	name := func(what string, i int) string { return fmt.Sprintf("w%d-%s-%d", x.waves, what, i) }
	gpus, sticks := x.hold(t, gpu, each), x.hold(t, stick, each)
	var waiting, anywhere []owner
	for i := range 2 {
		waiting = append(waiting,
			owner{bare, name("bare", i), "gpu,npu", 1, "300ms"},
			owner{job, name("job", i), "gpu,npu", 1, "300ms"})
	}
	waiting = append(waiting, owner{deployment, name("deployment", 0), "gpu,npu", 2, ""})
	last := owner{job, name("last", 0), "gpu", 1, "300ms"}
	for i := range 8 {
		anywhere = append(anywhere, owner{job, name("any", i), "any", 1, "500ms"})
	}
	all(t, append(slices.Clone(waiting), last), func(ctx context.Context, o owner) error { return o.create(ctx, x) })
	eventually(t, func(ctx context.Context) error { return x.waits(ctx, append(slices.Clone(waiting), last)) })
	if w.during != nil && !w.later {
		w.during()
	}
	all(t, anywhere, func(ctx context.Context, o owner) error { return o.create(ctx, x) })
	if w.during != nil && w.later {
		eventually(t, func(context.Context) error { return x.created(anywhere) })
		w.during()
	}
	for _, s := range sticks {
		x.free(t, s)
	}
	first := slices.Concat(waiting, anywhere)
	if w.mended == nil {
		x.settled(t, first, []owner{last})
	} else {
		// What breaks goes on while pods are moved, but not for ever: a fault may be
		// one under which nothing can be.
		soon, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		_ = poll.Until(soon, func(ctx context.Context) error { return x.standing(ctx, first, nil) })
		cancel()
		w.mended()
		x.settled(t, first, []owner{last})
	}
	x.free(t, gpus[0])
	owners := append(first, last)
	x.settled(t, owners, nil)
	for _, o := range owners {
		x.pods += o.pods
	}
	for _, name := range gpus[1:] {
		x.free(t, name)
	}
	all(t, owners, func(ctx context.Context, o owner) error { return o.remove(ctx, x) })
	eventually(t, func(ctx context.Context) error { return x.empty(ctx) })
}

// waits checks that the pods of owners are there and that the scheduler found no
// node for them.
func (x *site) waits(ctx context.Context, owners []owner) error {
	x.poke(ctx, owners)
	for _, o := range owners {
		said := 0
		for _, p := range x.watch.of(o.name) {
			if ledger.Waiting(p) && len(p.Status.Conditions) > 0 {
				said++
			}
		}
		if said != o.pods {
			return fmt.Errorf("%d of the pods of %s wait, want %d", said, o.name, o.pods)
		}
	}
	return nil
}

// created checks that each owner has its pods.
func (x *site) created(owners []owner) error {
	for _, o := range owners {
		if n := len(x.watch.of(o.name)); n < o.pods {
			return fmt.Errorf("%s has %d pods, want %d", o.name, n, o.pods)
		}
	}
	return nil
}

// poke has controllers look again that pause since their pods were refused: up to a
// quarter of an hour when that was often.
func (x *site) poke(ctx context.Context, owners []owner) {
	if time.Since(x.poked) < 2*time.Second {
		return
	}
	x.poked = time.Now()
	patch := fmt.Appendf(nil, `{"metadata":{"annotations":{"faults/poke":%q}}}`, x.poked.Format(time.RFC3339))
	for _, o := range owners {
		if len(x.watch.of(o.name)) >= o.pods {
			continue
		}
		// What cannot be poked now is poked when this is tried again.
		switch o.sort {
		case job:
			_, _ = x.client.BatchV1().Jobs(ns).Patch(ctx, o.name, types.MergePatchType, patch, metav1.PatchOptions{})
		case deployment:
			sets, err := x.client.AppsV1().ReplicaSets(ns).List(ctx, metav1.ListOptions{LabelSelector: ownerLabel + "=" + o.name})
			if err != nil {
				return
			}
			for _, set := range sets.Items {
				_, _ = x.client.AppsV1().ReplicaSets(ns).Patch(ctx, set.Name, types.MergePatchType, patch, metav1.PatchOptions{})
			}
		}
	}
}

// empty checks that no pod is left.
func (x *site) empty(ctx context.Context) error {
	list, err := x.client.CoreV1().Pods(ns).List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	if len(list.Items) > 0 {
		p := list.Items[0]
		return fmt.Errorf("%d pods are left, such as %s, %s, finalizers %v", len(list.Items), p.Name, p.Status.Phase, p.Finalizers)
	}
	return nil
}

// podsOf are an owner's.
func podsOf(pods []*corev1.Pod, o owner) (found []*corev1.Pod) {
	for _, p := range pods {
		if p.Labels[ownerLabel] == o.name {
			found = append(found, p)
		}
	}
	return found
}
