package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"heteroaccel.io/e2e/stack"
)

// firstProfile is what a stranger writes first: kinds, and no times.
const firstProfile = `
apiVersion: heteroaccel.io/v1alpha1
kind: InferenceProfile
metadata: {name: first-try}
spec:
  variants:
  - {accelerator: GPU, image: "example/x:gpu", device: GPU, limits: {gpu.intel.com/i915: "1"}%s}
  - {accelerator: NPU, image: "example/x:npu", device: MYRIAD, limits: {vpu.intel.com/hddl: "1"}%s}
  - {accelerator: CPU, image: "example/x:cpu", device: CPU, limits: {cpu: "2"}%s}
`

// untimed borrows an installation of one node, and gives it a profile whose
// variants say this of their times, in the order GPU, NPU, CPU.
func untimed(t *testing.T, gpu, npu, cpu string) *stack.Stack {
	t.Helper()
	s := borrow(t, oneNode)
	t.Cleanup(func() {
		// Not the test's context, which has ended.
		if said, err := s.Kubectl(context.Background(), "delete", "inferenceprofile", "first-try"); err != nil {
			t.Errorf("delete the profile: %v: %s", err, said)
		}
	})
	if said, err := s.KubectlInput(t.Context(), fmt.Sprintf(firstProfile, gpu, npu, cpu), "create", "-f", "-"); err != nil {
		t.Fatalf("create the profile: %v: %s", err, said)
	}
	nodeSays(t, s, s.Machines[0].Name, "GPU")
	eventually(t, func(ctx context.Context) error {
		_, err := stack.Get(ctx, s.URL("extender", "/profiles/first-try"))
		return err
	})
	return s
}

// TestServersWithoutTimes: servers, which are never timed, do not stay on the
// CPU while a GPU or NPU is idle: the order of the profile decides, or the
// speeds that it states.
func TestServersWithoutTimes(t *testing.T) {
	s := untimed(t, "", "", "")
	server := func(p *corev1.Pod) { p.Spec.RestartPolicy = corev1.RestartPolicyAlways }
	serve := func(want ...string) {
		t.Helper()
		eventuallyWould(t, s, anyPod("", "first-try", "any", server), want[0])
		for _, k := range want {
			p := create(t, s, anyPod("server-"+strings.ToLower(k), "first-try", "any", server))
			wantKind(t, p, k)
			t.Log(reason(p))
			running(t, s, p)
		}
	}
	serve("GPU", "NPU", "CPU")
	kubectl(t, s, "delete", "pods", "--all", "--wait")
	speeds := fmt.Sprintf(firstProfile, ", speed: 1.5", ", speed: 6", ", speed: 0.5")
	// kubectl reads it, and replaces what it read: the webhook may write the status between.
	eventually(t, func(ctx context.Context) error {
		said, err := s.KubectlInput(ctx, speeds, "replace", "-f", "-")
		if err != nil && !strings.Contains(err.Error(), "Conflict") {
			t.Fatalf("give the variants speeds: %v: %s", err, said)
		}
		return err
	})
	serve("NPU", "GPU", "CPU")
}
