package e2e

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"heteroaccel.io/e2e/stack"
	"heteroaccel.io/pkg/accel"
)

// TestQuotaReadmission: a pod that waits is recreated for an idle kind only
// when its namespace's quota has room for that.
func TestQuotaReadmission(t *testing.T) {
	s := borrow(t, oneNode)
	occupy(t, s, gpuResource)
	for _, owner := range []string{"bare pod", "Job", "Deployment"} {
		t.Run(owner, func(t *testing.T) { readmittedWithinQuota(t, s, owner) })
	}
}

func readmittedWithinQuota(t *testing.T, s *stack.Stack, owner string) {
	ns := strings.ToLower(strings.ReplaceAll(owner, " ", "-"))
	namespace(t, s, ns)
	// One of each would do for the pod, but for the one that waits already.
	limited(t, s, ns, map[string]string{gpuQuota: "1", stickQuota: "0"})
	probe := anyPod("", "face-recognition", "npu", inNamespace(ns))
	eventually(t, func(ctx context.Context) error {
		_, err := would(ctx, s, probe.DeepCopy())
		if err == nil || !strings.Contains(err.Error(), "exceeded quota") {
			return fmt.Errorf("the quota does not refuse: %v", err)
		}
		return nil
	})
	npu := occupy(t, s, stickResource)
	if said, err := s.KubectlInput(t.Context(), waitingOwners[owner], "create", "-n", ns, "-f", "-"); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	only := func(ctx context.Context) (corev1.Pod, error) {
		list, err := s.Client().CoreV1().Pods(ns).List(ctx, metav1.ListOptions{LabelSelector: "app=waits"})
		if err == nil && len(list.Items) != 1 {
			err = fmt.Errorf("%d pods are there, want 1", len(list.Items))
		}
		if err != nil {
			return corev1.Pod{}, err
		}
		return list.Items[0], nil
	}
	var before corev1.Pod
	eventually(t, func(ctx context.Context) (err error) {
		if before, err = only(ctx); err == nil && len(before.Status.Conditions) == 0 {
			err = errors.New("the scheduler has not seen the pod yet")
		}
		return err
	})
	wantKind(t, &before, "GPU")

	control := create(t, s, waitingPod("control")) // in a namespace without a quota
	vacate(t, s, npu)
	if got := running(t, s, control); kind(got) != "NPU" {
		t.Errorf("the pod without a quota got %s", kind(got))
	}
	vacate(t, s, get(t, s, control))
	roundsRead(t, s, 4)
	if p, err := only(t.Context()); err != nil || p.UID != before.UID {
		t.Fatalf("%v; it was recreated for a kind that its quota refuses: %s", err, reason(&p))
	}

	limited(t, s, ns, map[string]string{gpuQuota: "1", stickQuota: "1"})
	eventually(t, func(ctx context.Context) error {
		p, err := only(ctx)
		if err == nil && (kind(&p) != "NPU" || p.Status.Phase != corev1.PodRunning || p.Annotations[accel.ReadmissionsAnnotation] != "1") {
			err = fmt.Errorf("it is %s on %s: %s", p.Status.Phase, kind(&p), reason(&p))
		}
		return err
	})
	nothingRefused(t, s, ns)
	if owner == "Job" {
		job, err := s.Client().BatchV1().Jobs(ns).Get(t.Context(), "waits", metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		notFailed(t, job)
	}
	if said, err := s.KubectlInput(t.Context(), waitingOwners[owner], "delete", "-n", ns, "--cascade=foreground", "--grace-period=0", "--force", "-f", "-"); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	eventuallyWould(t, s, anyPod("", "face-recognition", "npu,gpu"), "NPU")
}
