//go:build long

package e2e

import (
	"context"
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"heteroaccel.io/e2e/cluster"
	"heteroaccel.io/e2e/machine"
	"heteroaccel.io/e2e/stack"
)

// TestLateLearned: what pods took that are bound late is learned for the kind of the
// device that their claim got, moved or not, and on the CPU too; and it is counted how their
// claims ended.
func TestLateLearned(t *testing.T) {
	s := lateCluster(t, machine.Paper())
	const took = 2500 * time.Millisecond
	runs := func(p *corev1.Pod) {
		p.Spec.RestartPolicy = corev1.RestartPolicyNever
		p.Annotations[cluster.DurationAnnotation] = took.String()
	}
	for _, kind := range []string{"gpu", "cpu"} {
		p := latePod("learned-on-"+kind, kind)
		runs(p)
		create(t, s, p)
		lateLearned(t, s, map[string]string{"gpu": "GPU", "cpu": "CPU"}[kind], 1, took)
	}

	// One that waits for the GPU is moved to the NPU that frees, and counts there.
	gpu, npu := agreed(t, s, create(t, s, latePod("holds-gpu", "gpu"))), agreed(t, s, create(t, s, latePod("holds-npu", "npu")))
	p := latePod("moves", "gpu,npu")
	runs(p)
	waitsWith(t, s, create(t, s, p))
	free(t, s, npu)
	lateLearned(t, s, "NPU", 1, took)
	free(t, s, gpu)

	// Each of the five pods got a device, four of them with their first claim.
	claimsEnded(t, s, map[string]float64{"first": 4, "better": 1, "moved": 1})

	// kube-scheduler knows more than the webhook does: of neighbours, for instance.
	running(t, s, create(t, s, neighbour))
	wrong := latePod("predicted-wrong", "gpu,npu")
	wrong.Spec.Affinity = &corev1.Affinity{PodAntiAffinity: &corev1.PodAntiAffinity{RequiredDuringSchedulingIgnoredDuringExecution: []corev1.PodAffinityTerm{{
		TopologyKey: corev1.LabelHostname, LabelSelector: &metav1.LabelSelector{MatchLabels: neighbour.Labels},
	}}}}
	p = create(t, s, wrong)
	wantKind(t, p, "GPU")
	wantKind(t, agreed(t, s, p), "NPU")
	claimsEnded(t, s, map[string]float64{"first": 4, "better": 1, "moved": 2, "mispredicted": 1})
	waited, err := metricOf(t.Context(), s, "webhook status", `heteroaccel_webhook_claim_wait_seconds_total{end="mispredicted"}`)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("the wrong prediction cost %.1f s", waited)
	if waited < 2 { // kube-scheduler has three to change its mind
		t.Errorf("it is said to have waited %v s", waited)
	}
}

// neighbour is a pod of somebody's on node g that wants no accelerator.
var neighbour = &corev1.Pod{
	ObjectMeta: metav1.ObjectMeta{Name: "neighbour", Namespace: metav1.NamespaceDefault, Labels: map[string]string{"app": "noisy"}},
	Spec: corev1.PodSpec{
		NodeSelector: map[string]string{corev1.LabelHostname: "g"},
		Containers:   []corev1.Container{{Name: "c", Image: "noisy"}},
	},
}

// claimsEnded waits until so many claims ended in each way, and in no other.
func claimsEnded(t *testing.T, s *stack.Stack, want map[string]float64) {
	t.Helper()
	eventually(t, func(ctx context.Context) error {
		for _, end := range []string{"first", "moved", "better", "mispredicted", "denied"} {
			name := fmt.Sprintf("heteroaccel_webhook_claim_ends_total{end=%q}", end)
			if got, err := metricOf(ctx, s, "webhook status", name); err != nil || got != want[end] {
				return fmt.Errorf("%s is %v, want %v; error %v", name, got, want[end], err)
			}
		}
		return nil
	})
}

// lateLearned waits until a status says that so many runs were learned from, and how long
// they took, a second aside.
func lateLearned(t *testing.T, s *stack.Stack, kind string, runs int64, took time.Duration) {
	t.Helper()
	eventually(t, func(ctx context.Context) error {
		p, err := s.Profiles.Get(ctx, "late", metav1.GetOptions{})
		if err != nil {
			return err
		}
		for _, l := range p.Status.Learned {
			if l.Accelerator == kind && l.Runs == runs {
				if d := l.Time.Duration; d < took-time.Second || d > 2*took {
					return fmt.Errorf("%s takes %v by its status, and took %v", kind, d, took)
				}
				return nil
			}
		}
		return fmt.Errorf("the status has %+v, want %d run of %s; outcomes: %s", p.Status.Learned, runs, kind, outcomes(ctx, s))
	})
}
