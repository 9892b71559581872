package e2e

import (
	"context"
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"heteroaccel.io/e2e/stack"
)

// TestMoveUpSteady: neither overload nor a device that comes and goes has servers that ask
// moved more often than the rules say.
func TestMoveUpSteady(t *testing.T) {
	s := borrow(t, oneNode)
	t.Run("overload", func(t *testing.T) { overload(t, s) })
	t.Run("a device that comes and goes", func(t *testing.T) { flappingDevice(t, s) })
}

// overload: while a Job, of another inference, has more pods than there are GPUs, which are
// idle between any two of them, no server takes one.
func overload(t *testing.T, s *stack.Stack) {
	gpu := occupy(t, s, gpuResource)
	manifest := serverManifest(asksForUpgrade)
	pod := serve(t, s, manifest, "NPU")
	defer deleteOwner(t, s, manifest)
	available(t, s)
	const runs = 10
	createJob(t, s, "queue", "text-recognition", "gpu", runs, 3, 1500*time.Millisecond)
	defer kubectl(t, s, "delete", "job", "queue")
	waiting := func(ctx context.Context) (n int, err error) {
		list, err := s.Client().CoreV1().Pods(metav1.NamespaceDefault).List(ctx, metav1.ListOptions{LabelSelector: "batch.kubernetes.io/job-name=queue"})
		if err != nil {
			return 0, err
		}
		for _, p := range list.Items {
			if p.Spec.NodeName == "" && p.Status.Phase == corev1.PodPending {
				n++
			}
		}
		return n, nil
	}
	eventually(t, func(ctx context.Context) error {
		n, err := waiting(ctx)
		if err == nil && n < 3 {
			err = fmt.Errorf("%d pods wait", n)
		}
		return err
	})
	vacate(t, s, gpu)
	for jobDone(t.Context(), s, "queue", runs) != nil {
		// In this order: who waits now has waited since the server was moved.
		now := get(t, s, &pod)
		n, err := waiting(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if moved := now.UID != pod.UID || now.DeletionTimestamp != nil; moved && n > 0 {
			t.Fatalf("it was moved while %d pods waited for the GPU", n)
		}
		roundsRead(t, s, 1)
	}
	runsOn(t, s, "GPU")
}

// flappingDevice: a server that was moved to a device and lost it is not moved there again as
// soon as it is back.
func flappingDevice(t *testing.T, s *stack.Stack) {
	gpu := occupy(t, s, gpuResource)
	manifest := serverManifest(asksForUpgrade)
	serve(t, s, manifest, "NPU")
	defer deleteOwner(t, s, manifest)
	vacate(t, s, gpu)
	moved, at := runsOn(t, s, "GPU")
	for i := range 3 {
		eventually(t, func(ctx context.Context) error { return nothingMarked(ctx, s) })
		next := create(t, s, holder(gpuResource))
		kubectl(t, s, "delete", "pod", moved.Name, "--grace-period=0", "--force")
		next = running(t, s, next)
		lost, _ := runsOn(t, s, "NPU")
		vacate(t, s, next)
		roundsRead(t, s, 4)
		now := get(t, s, &lost)
		if since := time.Since(at); since < time.Minute && (now.UID != lost.UID || now.DeletionTimestamp != nil) {
			t.Fatalf("round %d: it was moved again %s after it had been", i, since)
		}
		if i == 1 || !long {
			return
		}
		moved, at = runsOn(t, s, "GPU") // in the end it is
	}
}
