package e2e

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"heteroaccel.io/pkg/accel"
)

// within gives a pod a deadline.
func within(deadline string) podOption {
	return func(p *corev1.Pod) { p.Annotations[accel.DeadlineAnnotation] = deadline }
}

// TestDeadline: a pod gets a kind that makes its deadline or its profile's, and one that
// is recreated for that has no more time than the first one had left.
func TestDeadline(t *testing.T) {
	s := untimed(t, ", serviceTime: 8m", ", serviceTime: 15m", ", serviceTime: 9m")
	// The GPU is scarcer than cores, and hardly faster.
	eventuallyWould(t, s, anyPod("", "first-try", "gpu,cpu"), "CPU")
	eventuallyWould(t, s, anyPod("", "first-try", "gpu,cpu", within("8m30s")), "GPU")
	pod, err := would(t.Context(), s, anyPod("", "first-try", "gpu,cpu", within("8m30s")))
	if err != nil || !strings.Contains(reason(pod), "over the deadline of 8m30s") {
		t.Errorf("the reason says nothing of the deadline: %s; error %v", reason(pod), err)
	}
	patch := func(deadline string) (string, error) {
		return s.Kubectl(t.Context(), "patch", "inferenceprofile", "first-try", "--type=merge", "-p", fmt.Sprintf(`{"spec":{"deadline":%q}}`, deadline))
	}
	if said, err := patch("8m30s"); err != nil {
		t.Fatalf("give the profile a deadline: %v: %s", err, said)
	}
	eventuallyWould(t, s, anyPod("", "first-try", "gpu,cpu"), "GPU")
	eventuallyWould(t, s, anyPod("", "first-try", "gpu,cpu", within("none")), "CPU")
	for _, wrong := range []string{"soon", "-5s", "0s", "5"} {
		if _, err := would(t.Context(), s, anyPod("", "first-try", "any", within(wrong))); err == nil || !strings.Contains(err.Error(), `write one such as "5s"`) {
			t.Errorf("a pod with the deadline %q: error %v, want one that says what to write", wrong, err)
		}
		if said, err := patch(wrong); err == nil || !strings.Contains(said, "such as 5s") {
			t.Errorf("a profile with the deadline %q: error %v: %s", wrong, err, said)
		}
	}

	// While both are held, neither makes it.
	for _, kind := range []string{"gpu", "npu"} {
		running(t, s, create(t, s, anyPod("holds-"+kind, "first-try", kind)))
	}
	waits := create(t, s, anyPod("waits", "first-try", "gpu,npu", within("15m30s")))
	wantKind(t, waits, "GPU")
	eventually(t, func(ctx context.Context) error {
		p, err := s.Client().CoreV1().Pods(waits.Namespace).Get(ctx, waits.Name, metav1.GetOptions{})
		if err == nil && len(p.Status.Conditions) == 0 {
			err = errors.New("the scheduler has not seen the pod yet")
		}
		return err
	})
	kubectl(t, s, "delete", "pod", "holds-npu", "--wait")
	left := regexp.MustCompile(`over the 15m\d+(\.\d+)?s left of its deadline of 15m30s`)
	eventually(t, func(ctx context.Context) error {
		p, err := s.Client().CoreV1().Pods(waits.Namespace).Get(ctx, waits.Name, metav1.GetOptions{})
		switch {
		case err != nil:
			return err
		case p.UID == waits.UID:
			return errors.New("it still waits for the GPU")
		case p.Spec.NodeName == "":
			return errors.New("it is not bound")
		}
		wantKind(t, p, "NPU")
		if !left.MatchString(reason(p)) {
			t.Errorf("the deadline is not what was left of it: %s", reason(p))
		}
		return nil
	})
}
