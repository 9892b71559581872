package e2e

import (
	"context"
	"errors"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"heteroaccel.io/e2e/stack"
)

// requeuedWhenHealthy: that a device is healthy again, which only telemetry shows, is
// no event for kube-scheduler; the pod that waits for it runs all the same.
func requeuedWhenHealthy(t *testing.T, s *stack.Stack) {
	healthyAgain(t, s, func() {})
}

// requeuedWhenANodeOffersMore: a node that offers more than before is no
// event for a pod that only the extender rejected; the pod runs all the same.
func requeuedWhenANodeOffersMore(t *testing.T, s *stack.Stack) {
	healthyAgain(t, s, func() {
		if err := s.SyncNode(t.Context(), s.Machine("node-000")); err != nil {
			t.Fatal(err)
		}
	})
}

// healthyAgain has a pod wait for a device that is ill, and then be well. sync is
// called after each.
func healthyAgain(t *testing.T, s *stack.Stack, sync func()) {
	m := s.Machine("node-000")
	stick := ""
	for _, d := range m.Devices {
		if d.Resource == stickResource {
			stick = d.Name
		}
	}
	if err := m.SetHealthy(stick, false); err != nil {
		t.Fatal(err)
	}
	sync()
	nodeSays(t, s, "node-000", "unhealthy")
	p := create(t, s, anyPod("patient", "face-recognition", "npu"))
	eventually(t, func(ctx context.Context) error {
		found, err := s.Client().CoreV1().Pods(p.Namespace).Get(ctx, p.Name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		if unschedulable(found) == "" {
			return errors.New("the pod was not found unschedulable")
		}
		return nil
	})
	if err := m.SetHealthy(stick, true); err != nil {
		t.Fatal(err)
	}
	sync()
	well := time.Now()
	got := running(t, s, p)
	t.Logf("well again to running: %s", time.Since(well).Round(time.Millisecond))
	if got.UID != p.UID {
		t.Error("it was recreated")
	}
	if n, err := metric(t.Context(), s, "heteroaccel_webhook_scheduler_requeues_total"); err != nil || n < 1 {
		t.Errorf("the scheduler was asked to retry %v times, %v", n, err)
	}
	vacate(t, s, p)
}
