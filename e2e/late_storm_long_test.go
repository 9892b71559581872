//go:build long

package e2e

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	resourcev1 "k8s.io/api/resource/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/retry"

	"heteroaccel.io/e2e/machine"
	"heteroaccel.io/e2e/poll"
	"heteroaccel.io/e2e/stack"
)

// TestLateStorm: 200 pods come at once for 100 devices, which fail and return, while
// the replica of the webhook that leads is killed, and another takes over, and the API
// server is away for some seconds. Every pod runs to its end as the one that was created,
// with what goes with the device that its claim had, and no device has two at once.
func TestLateStorm(t *testing.T) {
	const (
		nodes, each = 5, 10 // of either kind on each node
		pods        = 2 * 2 * nodes * each
		lasts       = "30s" // so that half of them wait, however slowly they are created
		away        = 4 * time.Second
	)
	s := lateCluster(t, machine.Fleet(nodes, machine.Shape{Cores: 16}),
		"--leader-elect-lease-duration=4s", "--leader-elect-renew-deadline=3s", "--leader-elect-retry-period=500ms")
	asksNobody(t, s)
	if err := s.StartReplica("webhook-2"); err != nil {
		t.Fatal(err)
	}
	eventuallyReady(t, s, "webhook-2")
	slices := publishAll(t, s, nodes, each)
	w := watchClaims(t, s)

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	faults, ctx := errgroup.WithContext(ctx)
	faults.Go(func() error { return fail(ctx, s, slices, each) })
	began := time.Now()
	if err := w.createAll(t.Context(), s, 0, pods, lasts); err != nil {
		t.Fatal(err)
	}
	t.Logf("all were created after %s", time.Since(began).Round(time.Millisecond))
	killLeader(t, s)
	w.misses(t, s, func() {
		if err := s.RestartAPIServer(t.Context(), func(ctx context.Context) error { return poll.SleepUntil(ctx, time.Now().Add(away)) }); err != nil {
			t.Fatal(err)
		}
	})
	killLeader(t, s)
	eventually(t, func(context.Context) error {
		if n, running, ended := w.count(); ended < pods*3/4 {
			return fmt.Errorf("%d pods wait, %d run, %d have ended", n, running, ended)
		}
		return nil
	})
	cancel()
	if err := faults.Wait(); err != nil && !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	for _, name := range slices {
		if err := breakDevices(t.Context(), s, name, 0); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, func(context.Context) error {
		if n, running, ended := w.count(); ended < pods {
			return fmt.Errorf("%d pods wait and %d run: %s", n, running, w.unended())
		}
		return nil
	})
	t.Logf("all have ended after %s", time.Since(began).Round(time.Millisecond))
	moved := w.check(t)
	t.Logf("%d of %d had been moved", moved, pods)
	if moved == 0 {
		t.Error("nobody was moved: this tests too little")
	}
	eventually(t, func(ctx context.Context) error {
		left, err := s.Client().ResourceV1().ResourceClaims(metav1.NamespaceAll).List(ctx, metav1.ListOptions{})
		if err == nil && len(left.Items) > 0 {
			err = fmt.Errorf("%d claims are left", len(left.Items))
		}
		return errors.Join(err, reserved(ctx, s, 0))
	})
}

// killLeader kills the one of two replicas that leads, waits until the other does, and
// starts it again as the one that does not.
func killLeader(t *testing.T, s *stack.Stack) {
	t.Helper()
	led := leader(t, s, "webhook", "webhook-2")
	s.Process(led).Kill()
	next := leader(t, s, map[string]string{"webhook": "webhook-2", "webhook-2": "webhook"}[led])
	t.Logf("%s was killed, and %s took over", led, next)
	if err := s.StartReplica(led); err != nil {
		t.Fatal(err)
	}
	eventuallyReady(t, s, led)
}

// leader waits until one of some replicas leads, and returns which.
func leader(t *testing.T, s *stack.Stack, replicas ...string) (led string) {
	t.Helper()
	eventually(t, func(ctx context.Context) error {
		var all error
		for _, replica := range replicas {
			values, err := stack.Metrics(ctx, s.URL(replica+" status", "/metrics"))
			if err == nil && values["heteroaccel_webhook_deciding"] == 1 {
				led = replica
				return nil
			}
			all = errors.Join(all, err, fmt.Errorf("%s does not lead", replica))
		}
		return all
	})
	return led
}

// publishAll publishes so many GPUs and NPUs on each of some nodes, waits until the webhook
// sees them, and returns the ResourceSlices.
func publishAll(t *testing.T, s *stack.Stack, nodes, each int) (slices []string) {
	t.Helper()
	for i := range nodes {
		for _, kind := range []string{"gpu", "npu"} {
			slices = append(slices, publish(t, s, kind, fmt.Sprintf("node-%03d", i), each))
		}
	}
	eventually(t, func(ctx context.Context) error {
		p, err := would(ctx, s, latePod("", "gpu"))
		if err == nil && !strings.Contains(reason(p), fmt.Sprintf("GPU is free (%d of", nodes*each)) {
			err = errors.New("the webhook does not see all devices: " + reason(p))
		}
		return err
	})
	return slices
}

// publish publishes so many devices of a kind on a node, as their driver would, and
// returns the ResourceSlice.
func publish(t *testing.T, s *stack.Stack, kind, node string, n int) (slice string) {
	t.Helper()
	in := &resourcev1.ResourceSlice{ObjectMeta: metav1.ObjectMeta{Name: node + "-" + kind}, Spec: resourcev1.ResourceSliceSpec{
		Driver: kind + ".test", NodeName: &node, Pool: resourcev1.ResourcePool{Name: node, Generation: 1, ResourceSliceCount: 1},
	}}
	for i := range n {
		in.Spec.Devices = append(in.Spec.Devices, resourcev1.Device{Name: fmt.Sprint(kind, "-", i)})
	}
	if _, err := s.Client().ResourceV1().ResourceSlices().Create(t.Context(), in, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	return in.Name
}

// breakDevices has the devices of a slice fail of which the bits are set, as far as it has
// so many, and no other.
func breakDevices(ctx context.Context, s *stack.Stack, name string, bits int) error {
	api := s.Client().ResourceV1().ResourceSlices()
	return retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		slice, err := api.Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		for i := range slice.Spec.Devices {
			d := &slice.Spec.Devices[i]
			if d.Taints = nil; bits>>i&1 == 1 {
				d.Taints = []resourcev1.DeviceTaint{{Key: "test/unhealthy", Value: "bad", Effect: resourcev1.DeviceTaintEffectNoSchedule}}
			}
		}
		slice.Spec.Pool.Generation++
		_, err = api.Update(ctx, slice, metav1.UpdateOptions{})
		return err
	})
}

// fail has devices fail and return until ctx ends: at times most of a kind at once, so
// that those which wait for it are better off elsewhere.
func fail(ctx context.Context, s *stack.Stack, slices []string, each int) error {
	r := rand.New(rand.NewPCG(1, 2))
	for round := 0; ; round++ {
		kind := []string{"gpu", "npu"}[round%2]
		for _, name := range slices {
			bits := r.IntN(1<<each) & r.IntN(1<<each)
			if strings.HasSuffix(name, kind) {
				bits |= r.IntN(1 << each)
			}
			// The API server may be away.
			if err := await(ctx, func(ctx context.Context) error { return breakDevices(ctx, s, name, bits) }); err != nil {
				return err
			}
		}
		if err := poll.SleepUntil(ctx, time.Now().Add(time.Second)); err != nil {
			return err
		}
	}
}
