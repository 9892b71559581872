package e2e

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync/atomic"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"heteroaccel.io/e2e/stack"
)

// TestMoveUpKilled kills what moves servers at every call of the API server, before and
// after the call is carried out, and starts it anew: each time the Deployment has its pod
// all the while, in the end on what freed, and no other is left.
func TestMoveUpKilled(t *testing.T) {
	s := borrow(t, unattended)
	// The pod twice, its ReplicaSet, the next one, and what has it adopted.
	killedAtEach(t, s, serverManifest(asksForUpgrade), true, 4, 6)
}

// TestEvictKilled is the same of one that is evicted: in the end its StatefulSet has its
// pod, on what freed.
func TestEvictKilled(t *testing.T) {
	s := borrow(t, unattended)
	mayEvict(t, s)
	// The pod twice, its StatefulSet twice, a dry run, and the eviction.
	killedAtEach(t, s, stateful(asksForUpgrade), false, 5, 6)
}

// killedAtEach kills what moves a server at every call, from the first on that changes
// something; it takes so many at least. always is set where a pod is available all the
// while.
func killedAtEach(t *testing.T, s *stack.Stack, manifest string, always bool, first, least int64) {
	t.Helper()
	afters := []bool{true}
	if long {
		afters, first = []bool{false, true}, 1
	}
	for _, after := range afters {
		for at := first; ; at++ {
			happened := false
			t.Run(fmt.Sprintf("call %d, carried out %t", at, after), func(t *testing.T) { happened = moveKilled(t, s, manifest, always, at, after) })
			if !happened {
				t.Logf("it takes %d calls", at-1)
				if at < least {
					t.Errorf("it takes only %d calls", at-1)
				}
				break
			}
		}
	}
}

// moveKilled kills the process at a call; false when there is no such call any more.
func moveKilled(t *testing.T, s *stack.Stack, manifest string, always bool, at int64, after bool) (happened bool) {
	t.Helper()
	gpu := occupy(t, s, gpuResource)
	before := serve(t, s, manifest, "NPU")
	defer deleteOwner(t, s, manifest)
	c := &crash{at: at, after: after, happened: make(chan struct{})}
	if always {
		available(t, s)
	}
	first := begin(t, s, c)
	eventually(t, func(context.Context) error { return looked(c) })
	c.armed.Store(true)
	vacate(t, s, gpu)
	moved := func(ctx context.Context) error {
		return errors.Join(servesOnce(ctx, s, before), nothingLeft(ctx, s), nothingMarked(ctx, s))
	}
	ran := make(chan error, 1)
	watched, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() { ran <- await(watched, moved) }()
	select {
	case <-c.happened:
		happened = true
	case err := <-ran:
		if err != nil {
			t.Fatalf("neither killed at call %d nor done: %v", at, err)
		}
		if happened = c.calls.Load() >= c.at; happened {
			<-c.happened
		}
	}
	first.stop()
	second := begin(t, s, &crash{happened: make(chan struct{})})
	defer second.stop()
	name := "nothing"
	if happened {
		name = c.last.Load().(string)
	}
	if err := await(t.Context(), moved); err != nil {
		t.Fatalf("killed at call %d, %s (carried out: %t): %v", at, name, after, err)
	}
	return happened
}

// servesOnce checks that there is exactly one pod, another one, which serves on what freed.
func servesOnce(ctx context.Context, s *stack.Stack, before corev1.Pod) error {
	list, err := s.Client().CoreV1().Pods(metav1.NamespaceDefault).List(ctx, metav1.ListOptions{LabelSelector: "app=waits"})
	if err != nil {
		return err
	}
	serving := 0
	for _, p := range list.Items {
		if p.Status.Phase == corev1.PodRunning && p.DeletionTimestamp == nil {
			serving++
		}
	}
	if serving == 0 {
		return errors.New("nothing serves")
	}
	if p := &list.Items[0]; len(list.Items) != 1 || kind(p) != "GPU" || p.UID == before.UID {
		return fmt.Errorf("there are %d pods, such as %s on %s", len(list.Items), p.Name, kind(p))
	}
	return nil
}

// TestMoveUpRaces: whatever others do to a Deployment before any call of a move, in the end
// it has the pods it is to have, and none is left besides.
func TestMoveUpRaces(t *testing.T) {
	s := borrow(t, unattended)
	calls := []int64{7} // before the server is told to go first
	if long {
		calls = []int64{2, 3, 4, 5, 6, 7, 8, 9}
	}
	one := func(ctx context.Context) error {
		pods, err := waits(ctx, s)
		if err == nil && (len(pods) != 1 || pods[0].Status.Phase != corev1.PodRunning) {
			err = fmt.Errorf("there are %d pods, want one that runs", len(pods))
		}
		return err
	}
	for name, c := range map[string]struct {
		do   func(t *testing.T, before *corev1.Pod)
		want func(context.Context) error
	}{
		"scaled to none": {func(t *testing.T, _ *corev1.Pod) { kubectl(t, s, "scale", "deployment/waits", "--replicas=0") }, none(s)},
		"deleted":        {func(t *testing.T, _ *corev1.Pod) { kubectl(t, s, "delete", "deployment/waits") }, none(s)},
		"rolled out": {func(t *testing.T, _ *corev1.Pod) { kubectl(t, s, "set", "env", "deployment/waits", "NEW=yes") }, func(ctx context.Context) error {
			pods, err := waits(ctx, s)
			if err == nil && (len(pods) != 1 || !slices.ContainsFunc(pods[0].Spec.Containers[0].Env, func(e corev1.EnvVar) bool { return e.Name == "NEW" })) {
				err = fmt.Errorf("there are %d pods, want one of the new template", len(pods))
			}
			return err
		}},
		"its pod deleted": {func(t *testing.T, before *corev1.Pod) { kubectl(t, s, "delete", "pod", before.Name, "--wait=false") }, one},
	} {
		for _, at := range calls {
			t.Run(fmt.Sprintf("%s before call %d", name, at), func(t *testing.T) {
				gpu := occupy(t, s, gpuResource)
				manifest := serverManifest(`, heteroaccel.io/upgrade: "true"`)
				defer deleteOwner(t, s, manifest)
				before := serve(t, s, manifest, "NPU")
				var n atomic.Int64
				reached, proceed := make(chan struct{}), make(chan struct{})
				x := &crash{happened: make(chan struct{})}
				x.meanwhile = func(*http.Request) *http.Response {
					if x.armed.Load() && n.Add(1) == at {
						close(reached)
						<-proceed
					}
					return nil
				}
				p := begin(t, s, x)
				defer p.stop()
				eventually(t, func(context.Context) error { return looked(x) })
				x.armed.Store(true)
				vacate(t, s, gpu)
				select {
				case <-reached:
					c.do(t, &before)
					close(proceed)
				case <-t.Context().Done():
					close(proceed)
					t.Fatal("no such call was made")
				}
				eventually(t, func(ctx context.Context) error {
					return errors.Join(c.want(ctx), nothingLeft(ctx, s), nothingMarked(ctx, s))
				})
			})
		}
	}
}
