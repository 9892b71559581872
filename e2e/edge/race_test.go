//go:build cluster

package edge

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"heteroaccel.io/e2e/image"
	"heteroaccel.io/e2e/realnodes"
)

// TestRace: two schedulers give the same device away before either sees the other's
// binding. The kubelet refuses the second pod, which holds nothing then, and its Job's
// next pod is given another kind.
func TestRace(t *testing.T) {
	// Bindings are by hand meanwhile: those of this scheduler, and of another one.
	shared.Process("kube-scheduler").Stop()
	t.Cleanup(func() {
		if p := shared.Process("kube-scheduler"); p.Ended() {
			if err := shared.configureScheduler(context.Background()); err != nil {
				t.Error(err)
			}
		}
	})
	name := realnodes.Resources["g"]
	job(t, "raced", "face-recognition", "gpu,npu", 1)
	loser := podIn(t, "raced", corev1.PodPending)
	if kindOf(loser) != "GPU" {
		t.Fatalf("it was given %s", kindOf(loser))
	}
	pods := shared.Client().CoreV1().Pods(metav1.NamespaceDefault)
	winner, err := pods.Create(t.Context(), &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "another-schedulers"},
		Spec: corev1.PodSpec{
			SchedulerName: "another", TerminationGracePeriodSeconds: new(int64(0)),
			Containers: []corev1.Container{{
				Name: "holds", Image: "heteroaccel/pause:" + image.Version,
				Resources: corev1.ResourceRequirements{Limits: corev1.ResourceList{name: resource.MustParse("1")}},
			}},
		},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = pods.Delete(context.Background(), winner.Name, metav1.DeleteOptions{}) }) // it may be gone
	for _, p := range []string{winner.Name, loser.Name} {
		binding := &corev1.Binding{ObjectMeta: metav1.ObjectMeta{Name: p}, Target: corev1.ObjectReference{Kind: "Node", Name: "g"}}
		if err := pods.Bind(t.Context(), binding, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "the kubelet runs one and refuses the other", func(ctx context.Context) error {
		for p, want := range map[string]corev1.PodPhase{winner.Name: corev1.PodRunning, loser.Name: corev1.PodFailed} {
			now, err := pods.Get(ctx, p, metav1.GetOptions{})
			if err != nil {
				return err
			}
			if now.Status.Phase != want {
				return fmt.Errorf("%s is %s: %s", p, now.Status.Phase, now.Status.Reason)
			}
			if p == loser.Name {
				t.Logf("the kubelet says %s: %s", now.Status.Reason, now.Status.Message)
				if r := now.Status.Reason; r != "UnexpectedAdmissionError" && !strings.HasPrefix(r, "OutOf") {
					t.Errorf("the reason is %s", r)
				}
			}
		}
		return nil
	})
	eventually(t, "the GPU is the other scheduler's pod's", func(ctx context.Context) error { return heldBy(ctx, winner.Name) })
	if err := shared.configureScheduler(t.Context()); err != nil {
		t.Fatal(err)
	}
	succeeded(t, "raced")
	all, err := podsOf(t.Context(), "raced")
	if err != nil {
		t.Fatal(err)
	}
	if len(all) != 2 {
		t.Errorf("its pods are %s, want one that was refused and one that ran", phasesOf(all))
	}
	if !slices.ContainsFunc(all, func(p corev1.Pod) bool {
		return p.Name != loser.Name && kindOf(p) == "NPU" && p.Spec.NodeName == "n" && p.Status.Phase == corev1.PodSucceeded
	}) {
		t.Errorf("its pods are %s, want one that ran on the NPU", phasesOf(all))
	}
	// The pod that was refused is on the node still, and holds nothing.
	if err := pods.Delete(t.Context(), winner.Name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "nobody holds the GPU", func(ctx context.Context) error { return heldBy(ctx, "") })
	if still, err := pods.Get(t.Context(), loser.Name, metav1.GetOptions{}); err != nil || still.Spec.NodeName != "g" {
		t.Errorf("the pod that was refused is on %q, %v", still.Spec.NodeName, err)
	}
	job(t, "after", "face-recognition", "gpu,npu", 1)
	succeeded(t, "after")
	if pod := podIn(t, "after", corev1.PodSucceeded); kindOf(pod) != "GPU" {
		t.Errorf("the next pod was given %s, want GPU", kindOf(pod))
	}
}

// heldBy checks that a pod alone, or nobody, holds the GPU as the extender shows it.
func heldBy(ctx context.Context, pod string) error {
	view, err := shared.Inventory(ctx)
	if err != nil {
		return err
	}
	d, ok := view.Device("g", "GPU")
	held := ok && len(d.Holders) == 1 && d.Holders[0].Pod == pod
	if free := ok && len(d.Holders) == 0 && d.Allocated == 0; held != (pod != "") || free != (pod == "") {
		return fmt.Errorf("the extender shows %+v", d)
	}
	return nil
}
