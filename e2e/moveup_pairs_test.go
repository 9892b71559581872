package e2e

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
)

// TestMovedOneAtATime: of two servers, of which a budget wants one available, one moves after
// the other; a Deployment has both available all the while.
func TestMovedOneAtATime(t *testing.T) {
	s := borrow(t, fourOfEach)
	mayEvict(t, s)
	for name, c := range map[string]struct {
		manifest string
		least    int64
	}{
		"Deployment":  {serverManifest(asksForUpgrade), 2},
		"StatefulSet": {stateful(asksForUpgrade), 1},
	} {
		t.Run(name, func(t *testing.T) {
			var gpus []*corev1.Pod
			for range 4 {
				gpus = append(gpus, occupy(t, s, gpuResource))
			}
			manifest := strings.Replace(c.manifest, "spec:\n  selector", "spec:\n  replicas: 2\n  selector", 1)
			if said, err := s.KubectlInput(t.Context(), manifest, "create", "-f", "-"); err != nil {
				t.Fatalf("%v: %s", err, said)
			}
			defer deleteOwner(t, s, manifest)
			kubectl(t, s, "create", "poddisruptionbudget", "waits", "--selector=app=waits", "--min-available=1")
			defer kubectl(t, s, "delete", "poddisruptionbudget", "waits")
			both := func(want string) {
				t.Helper()
				eventually(t, func(ctx context.Context) error {
					pods, err := waits(ctx, s)
					if err != nil {
						return err
					}
					for _, p := range pods {
						if kind(&p) != want || !serves(&p) {
							err = fmt.Errorf("pod %s is on %s and %s", p.Name, kind(&p), p.Status.Phase)
						}
					}
					if err == nil && len(pods) != 2 {
						err = fmt.Errorf("there are %d pods", len(pods))
					}
					return err
				})
			}
			both("NPU")
			least := fewestServing(t, s.Client().CoreV1().Pods(metav1.NamespaceDefault).Watch)
			for _, p := range gpus {
				vacate(t, s, p)
			}
			both("GPU")
			if n := least(); n < c.least {
				t.Errorf("at a time only %d of them served, want %d", n, c.least)
			}
			eventually(t, func(ctx context.Context) error { return nothingMarked(ctx, s) })
		})
	}
}

// serves reports whether a pod is Ready and not being deleted.
func serves(p *corev1.Pod) bool {
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue {
			return p.DeletionTimestamp == nil
		}
	}
	return false
}

// fewestServing watches the pods labelled app: waits, and returns how few of them served at
// any time since there were two.
func fewestServing(t *testing.T, begin func(context.Context, metav1.ListOptions) (watch.Interface, error)) (least func() int64) {
	t.Helper()
	w, err := begin(t.Context(), metav1.ListOptions{LabelSelector: "app=waits"})
	if err != nil {
		t.Fatal(err)
	}
	var fewest atomic.Int64
	fewest.Store(1 << 30)
	done := make(chan struct{})
	go func() {
		defer close(done)
		serving, two := map[types.UID]bool{}, false
		for e := range w.ResultChan() {
			p, ok := e.Object.(*corev1.Pod)
			if !ok {
				continue
			}
			if delete(serving, p.UID); e.Type != watch.Deleted && serves(p) {
				serving[p.UID] = true
			}
			if two = two || len(serving) == 2; two {
				fewest.Store(min(fewest.Load(), int64(len(serving))))
			}
		}
	}()
	return func() int64 {
		w.Stop()
		<-done
		return fewest.Load()
	}
}
