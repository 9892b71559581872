package e2e

import (
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"heteroaccel.io/e2e/stack"
)

// nearNode: who asks the connector of a node for a server nearby gets that node's
// device while it is free, and else another node's.
func nearNode(t *testing.T, s *stack.Stack) {
	cameras := []camera{{s, "connector"}}
	for i, name := range []string{"connector-1", "connector-2"} {
		if err := s.StartConnector(t.Context(), name, fmt.Sprintf("--node-name=node-%03d", i+1),
			"--idle-timeout=1s", "--max-requests-per-second=1000", "--max-requests-burst=1000"); err != nil {
			t.Fatal(err)
		}
		defer s.Process(name).Kill()
		cameras = append(cameras, camera{s, name})
	}
	for _, accelerator := range []string{"any", "gpu"} {
		ask := fmt.Sprintf(`{"inference":"face-recognition","accelerator":%q,"near":"node"}`, accelerator)
		for i, c := range cameras {
			node := fmt.Sprintf("node-%03d", i)
			first := c.create(t, ask, true)
			if first.Node != node || first.Kind != "GPU" {
				t.Errorf("%s, with every device free: %s on %s, want the GPU of %s: %s", accelerator, first.Kind, first.Node, node, first.Reason)
			}
			second := c.create(t, ask, true)
			if second.Node == node && second.Kind == "GPU" {
				t.Errorf("both have the GPU of %s", node)
			}
			t.Logf("%s, near %s: %s of %s, then %s of %s", accelerator, node, first.Kind, first.Node, second.Kind, second.Node)
			c.end(t, first.ID)
			c.end(t, second.ID)
			noServers(t, s)
		}
	}
}

// alike is a profile of which a run takes as long on the GPU as on the NPU, and
// ten times as long on the CPU.
const alike = `
apiVersion: heteroaccel.io/v1alpha1
kind: InferenceProfile
metadata: {name: alike}
spec:
  template:
    spec:
      containers:
      - name: inference
        image: heteroaccel/alike
        ports: [{containerPort: 8080}]
  variants:
  - {accelerator: GPU, image: heteroaccel/alike, limits: {gpu.intel.com/i915: "1"}, serviceTime: 100ms}
  - {accelerator: NPU, image: heteroaccel/alike, device: MYRIAD, limits: {vpu.intel.com/hddl: "1"}, serviceTime: 100ms}
  - {accelerator: CPU, image: heteroaccel/alike, limits: {cpu: "1"}, serviceTime: 1s}
`

// TestNear: of ten nodes with four GPUs and three NPUs each, a camera's node is
// preferred although it is the busiest: its last GPU to those of idle nodes, and
// then its NPUs to GPUs elsewhere that are no better; but not its CPU, which is
// much slower.
func TestNear(t *testing.T) {
	const node = "node-005"
	s := borrow(t, hundred)
	if err := s.InstallConnector(t.Context()); err != nil {
		t.Fatal(err)
	}
	if said, err := s.KubectlInput(t.Context(), alike, "create", "-f", "-"); err != nil {
		t.Fatalf("create the profile: %v: %s", err, said)
	}
	defer kubectl(t, s, "delete", "inferenceprofile", "alike")
	err := s.StartConnector(t.Context(), "connector", "--node-name="+node, "--idle-timeout=1s", "--max-requests-per-second=1000", "--max-requests-burst=1000")
	if err != nil {
		t.Fatal(err)
	}
	defer s.Process("connector").Kill()

	running(t, s, create(t, s, plainPod("busy", withLimit("gpu.intel.com/i915", "3"), func(p *corev1.Pod) {
		p.Spec.NodeName = node
		for name, amount := range amounts("12", "48Gi") {
			p.Spec.Containers[0].Resources.Limits[name] = amount
		}
	})))
	nodeSays(t, s, node, "default/busy")

	c := camera{s, "connector"}
	ask := func(accelerator, wantKind, wantReason string) sessionAnswer {
		t.Helper()
		a := c.create(t, fmt.Sprintf(`{"inference":"alike","accelerator":%q,"near":"node"}`, accelerator), true)
		t.Logf("%s: %s of %s: %s", accelerator, a.Kind, a.Node, a.Reason)
		if a.Kind != wantKind || !strings.HasPrefix(a.Reason, wantReason) {
			t.Errorf("%s of %s, want %s because %s: %s", a.Kind, a.Node, wantKind, wantReason, a.Reason)
		}
		return a
	}
	var sessions []string
	for _, kind := range []string{"GPU", "NPU", "NPU", "NPU"} {
		accelerator := "any"
		if kind == "GPU" {
			accelerator = "gpu"
		} else if len(sessions) == 1 {
			// What a user writes is worth the same.
			eventuallyWould(t, s, anyPod("", "alike", "any", func(p *corev1.Pod) {
				p.Spec.RestartPolicy = corev1.RestartPolicyAlways
				p.Spec.Affinity = &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{
					PreferredDuringSchedulingIgnoredDuringExecution: []corev1.PreferredSchedulingTerm{{Weight: 1, Preference: corev1.NodeSelectorTerm{
						MatchExpressions: []corev1.NodeSelectorRequirement{{Key: corev1.LabelHostname, Operator: corev1.NodeSelectorOpIn, Values: []string{node}}},
					}}},
				}}
			}), "NPU")
		}
		a := ask(accelerator, kind, kind+" is free on "+node+", which it prefers")
		if a.Node != node {
			t.Errorf("the %s of %s, want that of %s", a.Kind, a.Node, node)
		}
		sessions = append(sessions, a.ID)
	}
	a := ask("any", "GPU", "GPU is free (36 of 40)")
	if want := "CPU free on " + node + ", which it prefers, 1s"; !strings.Contains(a.Reason, want) {
		t.Errorf("the reason does not say %q: %s", want, a.Reason)
	}
	for _, id := range append(sessions, a.ID) {
		c.end(t, id)
	}
	noServers(t, s)
}
