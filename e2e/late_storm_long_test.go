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
	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/retry"

	"heteroaccel.io/e2e/machine"
	"heteroaccel.io/e2e/poll"
	"heteroaccel.io/e2e/stack"
)

// TestLateStorm: 100 pods come at once for 50 devices, which fail and return, while the
// webhook is killed now and then. Every pod runs to its end as the one that was created,
// with the image and flag of the device that its claim had, and no device has two at once.
func TestLateStorm(t *testing.T) {
	const (
		nodes, each = 5, 5 // of either kind on each node
		pods        = 100
		lasts       = "30s" // so that half of them wait, however slowly they are created
		kills       = 3
	)
	s := lateCluster(t, machine.Fleet(nodes, machine.Shape{Cores: 16}))
	var slices []string
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
	w := watchClaims(t, s)
	began := time.Now()
	uids := w.createAll(t, s, pods, lasts)
	t.Logf("all were created after %s", time.Since(began).Round(time.Millisecond))

	ctx, cancel := context.WithCancel(t.Context())
	faults, ctx := errgroup.WithContext(ctx)
	faults.Go(func() error { return fail(ctx, s, slices, each) })
	for range kills {
		if err := poll.SleepUntil(t.Context(), time.Now().Add(1500*time.Millisecond)); err != nil {
			t.Fatal(err)
		}
		s.Process("webhook").Kill()
		if err := s.StartWebhook(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, func(ctx context.Context) error {
		done, err := ended(ctx, s)
		if err == nil && done < pods*3/4 {
			err = fmt.Errorf("%d of %d have ended", done, pods)
		}
		return err
	})
	cancel()
	if err := faults.Wait(); err != nil && !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	for _, name := range slices {
		if err := breakDevices(t.Context(), s, name, -1); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, func(ctx context.Context) error {
		done, err := ended(ctx, s)
		if err == nil && done < pods {
			err = fmt.Errorf("%d of %d have ended: %s", done, pods, w.unended())
		}
		return err
	})
	t.Logf("all have ended after %s", time.Since(began).Round(time.Millisecond))
	moved := w.check(t, uids)
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

// breakDevices has the devices of a slice fail of which the bits are set, as far as it has so many,
// and no other; -1 heals all.
func breakDevices(ctx context.Context, s *stack.Stack, name string, bits int) error {
	api := s.Client().ResourceV1().ResourceSlices()
	return retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		slice, err := api.Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		for i := range slice.Spec.Devices {
			d := &slice.Spec.Devices[i]
			if d.Taints = nil; bits >= 0 && bits>>i&1 == 1 {
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
			if err := breakDevices(ctx, s, name, bits); err != nil {
				return err
			}
		}
		if err := poll.SleepUntil(ctx, time.Now().Add(time.Second)); err != nil {
			return err
		}
	}
}

func ended(ctx context.Context, s *stack.Stack) (n int, err error) {
	list, err := s.Client().CoreV1().Pods(metav1.NamespaceDefault).List(ctx, metav1.ListOptions{})
	if err != nil {
		return 0, err
	}
	for _, p := range list.Items {
		if p.Status.Phase == corev1.PodSucceeded {
			n++
		}
	}
	return n, nil
}
