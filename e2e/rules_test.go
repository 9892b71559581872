package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"heteroaccel.io/e2e/stack"
)

const enforceLabel = "pod-security.kubernetes.io/enforce"

// TestRules is what becomes of pods whose namespace has rules for them, and of
// those whose volumes are somewhere already.
func TestRules(t *testing.T) {
	runShared(t, borrow(t, paper), []shared{
		{"LimitRange for everybody", everybodysLimitRange},
		{"host mount under baseline", func(t *testing.T, s *stack.Stack) { hostMount(t, s, "baseline") }},
		{"host mount under restricted", func(t *testing.T, s *stack.Stack) { hostMount(t, s, "restricted") }},
		{"volume of a node", volumeOfANode},
		{"second start of a StatefulSet", statefulSecondStart},
		{"whole pod under defaults", wholeUnderDefaults},
		{"prediction against the judge", predictionAgainstTheJudge},
	})
}

// plantLimits is the LimitRange that many platforms give to everybody, and a
// Job whose CPU variant would be above its maximum.
const plantLimits = `
apiVersion: v1
kind: LimitRange
metadata: {name: everybody}
spec:
  limits:
  - type: Container
    default: {cpu: 500m, memory: 256Mi}
    defaultRequest: {cpu: 100m, memory: 128Mi}
    max: {cpu: "1", memory: 4Gi}
`

const headCount = `
apiVersion: batch/v1
kind: Job
metadata: {name: count-heads}
spec:
  template:
    metadata:
      labels: {app: count-heads}
      annotations: {heteroaccel.io/inference: face-recognition, heteroaccel.io/accelerator: any}
    spec:
      restartPolicy: Never
      containers:
      - name: inference
        image: heteroaccel/face-recognition
        command: ["./face_recognition", "-i", "hall", "-d", "GPU"]
`

// everybodysLimitRange: with every accelerator held, only the CPU is idle, and
// it is what the LimitRange forbids. The pod is created all the same, waits, and
// runs once an accelerator frees.
func everybodysLimitRange(t *testing.T, s *stack.Stack) {
	const ns = "plant-2"
	namespace(t, s, ns)
	if said, err := s.KubectlInput(t.Context(), plantLimits, "create", "-n", ns, "-f", "-"); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	const why = "no CPU (LimitRange everybody: maximum cpu usage per Container is 1, but limit is 2)"
	probe := anyPod("", "face-recognition", "cpu,gpu", inNamespace(ns))
	eventually(t, func(ctx context.Context) error {
		got, err := would(ctx, s, probe.DeepCopy())
		if err == nil && !strings.Contains(reason(got), why) {
			err = fmt.Errorf("the reason is %q, want in it %q", reason(got), why)
		}
		return err
	})
	held := map[string]*corev1.Pod{}
	for _, resource := range []string{gpuResource, stickResource, "fpga.intel.com/arria10.dcp1.2-nlb0"} {
		held[resource] = occupy(t, s, resource)
	}
	probe = anyPod("", "face-recognition", "gpu,cpu")
	eventuallyWould(t, s, probe, "CPU") // in a namespace without the rule
	if said, err := s.KubectlInput(t.Context(), headCount, "create", "-n", ns, "-f", "-"); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	only := func(ctx context.Context) (*corev1.Pod, error) {
		list, err := s.Client().CoreV1().Pods(ns).List(ctx, metav1.ListOptions{LabelSelector: "app=count-heads"})
		if err == nil && len(list.Items) != 1 {
			err = fmt.Errorf("%d pods are there, want 1", len(list.Items))
		}
		if err != nil {
			return nil, err
		}
		return &list.Items[0], nil
	}
	eventually(t, func(ctx context.Context) error {
		p, err := only(ctx)
		if err != nil {
			return err
		}
		if kind(p) == "CPU" || !strings.Contains(reason(p), why) {
			t.Fatalf("the pod got %s: %s", kind(p), reason(p))
		}
		return nil
	})
	nothingRefused(t, s, ns)
	vacate(t, s, held[gpuResource])
	eventually(t, func(ctx context.Context) error {
		p, err := only(ctx)
		if err == nil && p.Status.Phase != corev1.PodRunning {
			err = fmt.Errorf("pod %s with %s is %s", p.Name, kind(p), p.Status.Phase)
		}
		return err
	})
	nothingRefused(t, s, ns)
	kubectl(t, s, "delete", "job", "--all", "-n", ns)
	kubectl(t, s, "delete", "limitrange", "--all", "-n", ns)
}

// mountsDRI is a profile, less its name, whose GPU variant mounts what the
// restricted and baseline levels do not allow.
const mountsDRI = `
apiVersion: heteroaccel.io/v1alpha1
kind: InferenceProfile
metadata: {name: %s}
spec:
  variants:
  - accelerator: GPU
    image: heteroaccel/dri:gpu
    limits: {gpu.intel.com/i915: "1"}
    serviceTime: 70ms
    volumes: [{name: dri, hostPath: {path: /dev/dri}}]
    volumeMounts: [{name: dri, mountPath: /dev/dri}]
  - accelerator: NPU
    image: heteroaccel/dri:npu
    device: MYRIAD
    limits: {vpu.intel.com/hddl: "1"}
    serviceTime: 150ms
    supplementalGroups: [109]
`

// hostMount: where the namespace's pod-security level forbids the GPU's host
// mount, the next kind is taken though the GPU is idle and better.
func hostMount(t *testing.T, s *stack.Stack, level string) {
	inference := "mounts-dri-" + level
	if said, err := s.KubectlInput(t.Context(), fmt.Sprintf(mountsDRI, inference), "create", "-f", "-"); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	ns := "enforces-" + level
	namespace(t, s, ns)
	face := func(name, ns string) *corev1.Pod {
		return anyPod(name, inference, "gpu,npu", inNamespace(ns), hardened)
	}
	eventuallyWould(t, s, face("", ns), "GPU")
	kubectl(t, s, "label", "namespace", ns, enforceLabel+"="+level)
	eventuallyWould(t, s, face("", ns), "NPU")
	made := create(t, s, face("made", ns))
	wantKind(t, made, "NPU")
	want := fmt.Sprintf("no GPU (PodSecurity %q: ", level+":latest")
	if !strings.Contains(reason(made), want) || !strings.Contains(reason(made), `volume "dri"`) {
		t.Errorf("the reason is %q, want in it %q and the volume", reason(made), want)
	}
	running(t, s, made)
	wantKind(t, create(t, s, face("elsewhere", metav1.NamespaceDefault)), "GPU")

	// A pod that may have the GPU alone is refused by the API server, and the
	// webhook warns with its reason.
	only := anyPod("only", inference, "gpu", inNamespace(ns), hardened)
	said, err := s.KubectlInput(t.Context(), manifest(t, only), "create", "-f", "-")
	if err == nil || !strings.Contains(said, "violates PodSecurity") || !strings.Contains(said, "Warning: no kind is left to it: no GPU (PodSecurity") {
		t.Errorf("%v, kubectl says %s", err, said)
	}
	kubectl(t, s, "label", "namespace", ns, enforceLabel+"-")
	kubectl(t, s, "delete", "inferenceprofile", inference)
}

// hardened is a pod as the restricted level wants it.
func hardened(p *corev1.Pod) {
	p.Spec.SecurityContext = &corev1.PodSecurityContext{
		RunAsNonRoot: new(true), RunAsUser: new(int64(1000)),
		SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
	}
	for i := range p.Spec.Containers {
		p.Spec.Containers[i].SecurityContext = &corev1.SecurityContext{
			AllowPrivilegeEscalation: new(false), Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
		}
	}
}
