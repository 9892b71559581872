package e2e

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"heteroaccel.io/e2e/stack"
	"heteroaccel.io/pkg/accel"
)

// backstop: where the webhook is not asked about pods, because somebody changed its
// registration, those that need it are refused and no others.
func backstop(t *testing.T, s *stack.Stack) {
	const unasked = "unasked"
	namespace(t, s, unasked)
	leaveOut := func(namespaces ...string) {
		t.Helper()
		patch := fmt.Sprintf(`[{"op":"replace","path":"/webhooks/0/namespaceSelector/matchExpressions/0/values","value":["%s"]}]`, strings.Join(namespaces, `","`))
		if _, err := s.Client().AdmissionregistrationV1().MutatingWebhookConfigurations().Patch(context.Background(), "heteroaccel", types.JSONPatchType, []byte(patch), metav1.PatchOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	ours := []string{"kube-system", stack.Namespace, stack.ExporterNamespace}
	leaveOut(append(ours, unasked)...)
	defer leaveOut(ours...)
	const refused = "HeteroAccel's webhook was not asked which: register it again"
	try := func(ctx context.Context, p *corev1.Pod) error {
		_, err := s.Client().CoreV1().Pods(p.Namespace).Create(ctx, p, dry)
		return err
	}
	eventually(t, func(ctx context.Context) error {
		if err := try(ctx, anyPod("judged", "face-recognition", "any", inNamespace(unasked))); err == nil || !strings.Contains(err.Error(), refused) {
			return errors.Join(errors.New("the webhook is asked still"), err)
		}
		return nil
	})
	annotated := func(pairs map[string]string) podOption { return func(p *corev1.Pod) { p.Annotations = pairs } }
	for name, c := range map[string]struct {
		option podOption
		want   string
	}{
		"one annotation":      {annotated(map[string]string{accel.AcceleratorAnnotation: "any"}), refused},
		"bare annotations":    {annotated(map[string]string{"inference": "face-recognition", "accelerator": "any"}), refused},
		"one bare annotation": {annotated(map[string]string{"inference": "of-somebody-else"}), ""},
		"no annotation":       {annotated(nil), ""},
		"opted out":           {func(p *corev1.Pod) { p.Annotations[accel.ReadmissionAnnotation] = "false" }, refused},
		"gated":               {behindGate, refused},
		"other scheduler":     {func(p *corev1.Pod) { p.Spec.SchedulerName = "another" }, refused},
		"mirror of a static pod": {func(p *corev1.Pod) {
			p.Annotations[corev1.MirrorPodAnnotationKey], p.Spec.NodeName = "x", "g"
		}, ""},
		"webhook asked":           {inNamespace(metav1.NamespaceDefault), ""},
		"webhook asked, gated":    {func(p *corev1.Pod) { behindGate(p); p.Namespace = metav1.NamespaceDefault }, ""},
		"in a namespace left out": {inNamespace("kube-system"), ""},
	} {
		judged(t, name, try(t.Context(), anyPod("judged", "face-recognition", "any", inNamespace(unasked), c.option)), c.want)
	}
}

func behindGate(p *corev1.Pod) {
	p.Spec.SchedulingGates = []corev1.PodSchedulingGate{{Name: "example.com/gate"}}
}
