package e2e

import (
	"context"
	"errors"
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// TestLimitInTheWay: a pod that waits is not deleted for a kind that its
// namespace's LimitRange would refuse it, however idle that is.
func TestLimitInTheWay(t *testing.T) {
	s := borrow(t, paper)
	apply := func(verb, file string) {
		t.Helper()
		if said, err := s.Kubectl(t.Context(), verb, "-f", "testdata/"+file); err != nil {
			t.Fatalf("kubectl %s -f %s: %v: %s", verb, file, err, said)
		}
	}
	apply("create", "limit-in-the-way.yaml")
	ready := func(ns, selector string, want int) {
		t.Helper()
		eventually(t, func(ctx context.Context) error {
			pods, err := s.Client().CoreV1().Pods(ns).List(ctx, metav1.ListOptions{LabelSelector: selector})
			running := 0
			for i := range pods.Items {
				if pods.Items[i].Status.Phase == corev1.PodRunning {
					running++
				}
			}
			if err == nil && running != want {
				err = fmt.Errorf("%d pods of %q run, want %d", running, selector, want)
			}
			return err
		})
	}
	ready(metav1.NamespaceDefault, "a=f", 3)
	ready(metav1.NamespaceDefault, "", 5)
	takesPods(t, s, "team")
	apply("create", "limit-in-the-way-waits.yaml")
	only := func(check func(*corev1.Pod) error) (pod corev1.Pod) {
		t.Helper()
		eventually(t, func(ctx context.Context) error {
			pods, err := s.Client().CoreV1().Pods("team").List(ctx, metav1.ListOptions{})
			if err == nil && len(pods.Items) != 1 {
				err = fmt.Errorf("%d pods are there, want 1", len(pods.Items))
			}
			if err != nil {
				return err
			}
			pod = pods.Items[0]
			return check(&pod)
		})
		return pod
	}
	before := only(func(p *corev1.Pod) error {
		if len(p.Status.Conditions) == 0 {
			return errors.New("the scheduler has not seen the pod yet")
		}
		return nil
	})
	wantKind(t, &before, "GPU")

	if said, err := s.Kubectl(t.Context(), "delete", "deployment/filler", "pod/fill2", "--grace-period=0", "--force"); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	// A pod elsewhere gets the cores: they are idle, and the webhook knows.
	eventuallyWould(t, s, anyPod("", "face-recognition", "cpu"), "CPU")
	elsewhere := running(t, s, create(t, s, anyPod("elsewhere", "face-recognition", "cpu")))
	wantKind(t, elsewhere, "CPU")
	still := func(p *corev1.Pod) error {
		if p.UID != before.UID {
			return fmt.Errorf("it was deleted for a kind that is refused: %s", reason(p))
		}
		return nil
	}
	roundsRead(t, s, 8)
	only(still)
	if said, err := s.Kubectl(t.Context(), "delete", "pod/hold-gpu", "--grace-period=0", "--force"); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	only(func(p *corev1.Pod) error {
		if p.Status.Phase != corev1.PodRunning {
			return fmt.Errorf("it is %s: %s", p.Status.Phase, reason(p))
		}
		return still(p)
	})
}
