//go:build long

package e2e

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"

	"heteroaccel.io/e2e/machine"
	"heteroaccel.io/e2e/stack"
	"heteroaccel.io/pkg/inventory"
	"heteroaccel.io/pkg/kube"
	"heteroaccel.io/pkg/policy"
	"heteroaccel.io/pkg/profile"
	"heteroaccel.io/webhook/readmit"
	"heteroaccel.io/webhook/readmit/choice"
	against "heteroaccel.io/webhook/refusals"
	"heteroaccel.io/webhook/variant"
)

// beginLate starts the part of a webhook that binds pods late, in this process, whoever
// else leads. As it recreates no pod, it recovers nothing: it makes no call before a pod
// lacks its claim or is moved. The calls of c are counted from when it is armed.
func beginLate(t *testing.T, s *stack.Stack, c *crash) *process {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	feedClient, client, keys := clients(ctx, t, s, c)
	profiles := profile.NewStore()
	inv := inventory.New(inventory.Options{})
	feeds := kube.NewFeeds(feedClient, s.Profiles, inv, profiles, keys.Current, func(error) {})
	r := readmit.New(readmit.Config{
		Client: client, Inventory: inv, Options: variant.Source{Profiles: profiles, Binding: profile.Auto, HasClass: inv.HasClass},
		Policy: policy.IdleFirst, Keys: keys.Current, Namespace: stack.Namespace,
		Rules:     choice.Rules{Margin: time.Millisecond, Backoff: time.Second, Patience: time.Minute},
		Suspended: func() bool { return false }, Refusals: against.New(time.Now), Recorder: events.NewFakeRecorder(1000), Registry: prometheus.NewRegistry(), Log: zerolog.Nop(),
	})
	feeds.Pods.Register(kube.OnPod(r.SetPod), r.DeletePod)
	feeds.WatchDRA(inv, zerolog.Nop()).Register(r.SetClaim, r.DeleteClaim)
	done := make(chan struct{}, 2)
	go func() { _ = feeds.Run(ctx); done <- struct{}{} }()
	if err := feeds.Refresh(ctx); err != nil {
		t.Fatal(err)
	}
	go func() { _ = r.Run(ctx); done <- struct{}{} }()
	return &process{crash: c, stop: func() {
		cancel()
		<-done
		<-done
	}}
}

// TestLateKilled kills what moves pods at every call of the API server, before and after
// the call is carried out, and starts it anew: each time the pod runs on what freed, and
// every pod has the claim of its kind.
func TestLateKilled(t *testing.T) {
	s := lateCluster(t, machine.Paper())
	agreed(t, s, create(t, s, latePod("holds-gpu", "gpu")))
	eventuallyWould(t, s, latePod("", "npu,gpu"), "NPU")
	npu := agreed(t, s, create(t, s, latePod("holds-npu", "npu")))
	uids := waitForGPU(t, s, 30) // one for each call, each way, and some more
	s.Process("webhook").Kill()  // from now on this process moves them
	lateProfile(t, s, "10ms")
	for _, after := range []bool{false, true} {
		for at := int64(1); ; at++ {
			name := killedMoving(t, s, &npu, uids, at, after)
			if name == "" {
				t.Logf("it takes %d calls", at-1)
				if at < 9 {
					t.Error("a move takes 9 calls: this tests too little")
				}
				break
			}
			t.Logf("killed at call %d, %s, carried out: %t", at, name, after)
		}
	}
}

// waitForGPU creates pods that may have a GPU or an NPU, and wait for the GPU however long
// its queue is.
func waitForGPU(t *testing.T, s *stack.Stack, pods int) map[types.UID]bool {
	t.Helper()
	lateProfile(t, s, "24h")
	eventually(t, func(ctx context.Context) error {
		p, err := would(ctx, s, latePod("", "npu,gpu"))
		if err == nil && kind(p) != "GPU" {
			err = errors.New("the webhook does not know how long it takes")
		}
		return err
	})
	uids := map[types.UID]bool{}
	for i := range pods {
		p := create(t, s, latePod(fmt.Sprintf("waits-%02d", i), "gpu,npu"))
		wantKind(t, p, "GPU")
		uids[p.UID] = true
	}
	eventually(t, func(ctx context.Context) error { _, err := allAgree(ctx, s, uids); return err })
	return uids
}

// killedMoving frees the NPU, kills what moves a pod to it at a call, and has another go
// on; "" when there is no such call, else its name. npu is who holds the NPU.
func killedMoving(t *testing.T, s *stack.Stack, npu **corev1.Pod, uids map[types.UID]bool, at int64, after bool) (name string) {
	t.Helper()
	c := &crash{at: at, after: after, happened: make(chan struct{})}
	first := beginLate(t, s, c)
	c.armed.Store(true)
	delete(uids, (*npu).UID)
	free(t, s, *npu)
	ran := make(chan error, 1)
	watched, cancel := context.WithCancel(t.Context())
	defer cancel()
	var next *corev1.Pod
	onNPU := func(ctx context.Context) (err error) { next, err = allAgree(ctx, s, uids); return err }
	go func() {
		ran <- await(watched, func(ctx context.Context) error {
			p, err := allAgree(ctx, s, uids)
			if err == nil && p == nil {
				err = errors.New("nobody runs on the NPU")
			}
			return err
		})
	}()
	select {
	case <-c.happened:
		name = c.last.Load().(string)
	case err := <-ran:
		if err != nil {
			t.Fatalf("neither killed at call %d nor done: %v", at, err)
		}
	}
	cancel()
	first.stop()
	second := beginLate(t, s, &crash{happened: make(chan struct{})})
	defer second.stop()
	if err := await(t.Context(), func(ctx context.Context) error {
		if err := onNPU(ctx); err != nil {
			return err
		}
		if next == nil {
			return errors.New("nobody runs on the NPU")
		}
		return nil
	}); err != nil {
		t.Fatalf("killed at call %d, %s (carried out: %t): %v", at, name, after, err)
	}
	*npu = next
	return name
}

// allAgree checks that the pods with some UIDs are there, and that each agrees with its
// claim. It returns the one that runs on an NPU, nil for none.
func allAgree(ctx context.Context, s *stack.Stack, uids map[types.UID]bool) (npu *corev1.Pod, err error) {
	running, err := agreeing(ctx, s, uids)
	return running["NPU"], err
}

// agreeing is allAgree, and returns who runs on each kind.
func agreeing(ctx context.Context, s *stack.Stack, uids map[types.UID]bool) (running map[string]*corev1.Pod, err error) {
	pods, err := s.Client().CoreV1().Pods(metav1.NamespaceDefault).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	claims, err := s.Client().ResourceV1().ResourceClaims(metav1.NamespaceDefault).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	found := 0
	running = map[string]*corev1.Pod{}
	for i := range pods.Items {
		p := &pods.Items[i]
		if !uids[p.UID] {
			continue
		}
		found++
		if err := agrees(p, claimNamed(claims.Items, *p.Spec.ResourceClaims[0].ResourceClaimName)); err != nil {
			return nil, err
		}
		if p.Spec.NodeName != "" {
			running[kind(p)] = p
		}
	}
	if found != len(uids) {
		return nil, fmt.Errorf("%d of %d pods are there", found, len(uids))
	}
	return running, nil
}
