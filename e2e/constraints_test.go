package e2e

import (
	"testing"

	corev1 "k8s.io/api/core/v1"

	"heteroaccel.io/e2e/stack"
)

// nodeSelector: a pod tied to node n gets what that has, though the GPU of
// another is idle and would be faster.
func nodeSelector(t *testing.T, s *stack.Stack) {
	required := func(p *corev1.Pod) {
		p.Spec.Affinity = &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{
			RequiredDuringSchedulingIgnoredDuringExecution: &corev1.NodeSelector{
				NodeSelectorTerms: []corev1.NodeSelectorTerm{{MatchExpressions: []corev1.NodeSelectorRequirement{
					{Key: corev1.LabelHostname, Operator: corev1.NodeSelectorOpIn, Values: []string{"n"}},
				}}},
			},
		}}
	}
	for name, tied := range map[string]podOption{"selector": onNodes(corev1.LabelHostname, "n"), "affinity": required} {
		t.Run(name, func(t *testing.T) {
			for _, want := range []string{"NPU", "CPU"} {
				p := create(t, s, anyPod(name+"-"+map[string]string{"NPU": "1", "CPU": "2"}[want], "face-recognition", "any", tied))
				wantKind(t, p, want)
				if node := running(t, s, p).Spec.NodeName; node != "n" {
					t.Errorf("pod %s runs on %s, want n", p.Name, node)
				}
			}
			wantKind(t, create(t, s, anyPod(name+"-free", "face-recognition", "any")), "GPU")
			tidy(t, s)
		})
	}
}

// taint: what stands on a tainted node is only for those that tolerate it.
func taint(t *testing.T, s *stack.Stack) {
	pod := anyPod("not-tolerant", "face-recognition", "any")
	kubectl(t, s, "taint", "node", "g", "reserved=yes:NoSchedule")
	defer kubectl(t, s, "taint", "node", "g", "reserved-")
	eventuallyWould(t, s, pod, "NPU")
	p := create(t, s, pod)
	wantKind(t, p, "NPU")
	if node := running(t, s, p).Spec.NodeName; node != "n" {
		t.Errorf("it runs on %s, want n", node)
	}
	p = create(t, s, anyPod("tolerant", "face-recognition", "any", func(p *corev1.Pod) {
		p.Spec.Tolerations = []corev1.Toleration{{Key: "reserved", Operator: corev1.TolerationOpExists}}
	}))
	wantKind(t, p, "GPU")
	if node := running(t, s, p).Spec.NodeName; node != "g" {
		t.Errorf("the tolerant pod runs on %s, want g", node)
	}
}

// cordon: a cordoned node does not count, and counts again when it is open.
func cordon(t *testing.T, s *stack.Stack) {
	pod := anyPod("cordoned", "face-recognition", "any")
	kubectl(t, s, "cordon", "g")
	defer kubectl(t, s, "uncordon", "g")
	eventuallyWould(t, s, pod, "NPU")
	p := create(t, s, pod)
	wantKind(t, p, "NPU")
	if node := running(t, s, p).Spec.NodeName; node != "n" {
		t.Errorf("it runs on %s, want n", node)
	}
	nodeSays(t, s, "g", "cordoned")

	pod.Name = "uncordoned"
	kubectl(t, s, "uncordon", "g")
	eventuallyWould(t, s, pod, "GPU")
	p = create(t, s, pod)
	wantKind(t, p, "GPU")
	if node := running(t, s, p).Spec.NodeName; node != "g" {
		t.Errorf("it runs on %s, want g", node)
	}
}
