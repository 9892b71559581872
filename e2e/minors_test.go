package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/version"

	"heteroaccel.io/e2e/stack"
	"heteroaccel.io/pkg/accel"
)

// wholeLimit: a pod with a limit of the whole pod and no request. Since 1.37 the API server
// completes the request after admission, and it is the sum of what the containers request
// then. Before, it did so when it read the pod, whose containers request no CPU yet: the
// request is the limit.
func wholeLimit(t *testing.T, s *stack.Stack) {
	in := templatePod(t, "pod-level-resources")
	in.Name, in.GenerateName = "", "tills-"
	in.Annotations[accel.AcceleratorAnnotation] = "cpu"
	in.Spec.Resources.Limits, in.Spec.Resources.Requests = amounts("4", "1Gi"), nil
	p := create(t, s, in)
	want := "2"
	if beforeMinor(t, s, "1.37") {
		want = "4"
	}
	container, whole := p.Spec.Containers[0].Resources.Requests[corev1.ResourceCPU], p.Spec.Resources.Requests[corev1.ResourceCPU]
	if container.String() != "2" || whole.String() != want {
		t.Errorf("the container requests %s of cpu and the whole pod %s, want 2 and %s", &container, &whole, want)
	}
}

// wholeUnderDefaults: a pod with an amount of CPU for the whole of it, in a namespace whose
// LimitRange gives containers memory. Before 1.37 the API server completes the whole pod's
// memory ahead of that, and finds the containers above it afterwards. What the webhook made
// of the pod is taken by every version.
func wholeUnderDefaults(t *testing.T, s *stack.Stack) {
	const ns = "plant-3"
	namespace(t, s, ns)
	rule := `{apiVersion: v1, kind: LimitRange, metadata: {name: memory}, spec: {limits: [{type: Container, defaultRequest: {memory: 256Mi}}]}}`
	if said, err := s.KubectlInput(t.Context(), rule, "create", "-n", ns, "-f", "-"); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	in := templatePod(t, "pod-level-resources")
	in.Name, in.Namespace = "", ns
	in.Spec.Resources.Limits, in.Spec.Resources.Requests = with(nil, corev1.ResourceCPU, "4"), with(nil, corev1.ResourceCPU, "1")
	in.Spec.Containers[0].Resources = corev1.ResourceRequirements{Requests: with(nil, corev1.ResourceMemory, "128Mi")}
	plain := in.DeepCopy()
	plain.Annotations = nil
	const above = "spec.resources.requests[memory]: Invalid value: \"128Mi\": must be greater than or equal to aggregate container requests of 384Mi"
	older := beforeMinor(t, s, "1.37")
	eventually(t, func(ctx context.Context) error { // the plugin may not know the rule yet
		got, err := would(ctx, s, plain.DeepCopy())
		switch {
		case older && (err == nil || !strings.Contains(err.Error(), above)):
			return fmt.Errorf("without our annotations the verdict is %v, want %s", err, above)
		case older:
			return nil
		case err == nil && memoryOf(got, 1) != "256Mi":
			return fmt.Errorf("the second container requests %q of memory, want 256Mi", memoryOf(got, 1))
		}
		return err
	})
	for _, kinds := range []string{"gpu", "cpu"} {
		in.Annotations[accel.AcceleratorAnnotation] = kinds
		got, err := would(t.Context(), s, in.DeepCopy())
		if err != nil {
			t.Errorf("for %s it is refused: %v", kinds, err)
		} else if kind(got) != strings.ToUpper(kinds) || memoryOf(got, 0) != "128Mi" || memoryOf(got, 1) != "256Mi" {
			t.Errorf("for %s it gets %s, and memory of %s and %s", kinds, kind(got), memoryOf(got, 0), memoryOf(got, 1))
		}
	}
}

// memoryOf is what a container of a pod requests.
func memoryOf(p *corev1.Pod, container int) string {
	return p.Spec.Containers[container].Resources.Requests.Memory().String()
}

// newerVolume: the volume of a variant whose source the API server takes since 1.37. Before,
// a feature gate has it dropped from whatever pod, without a word.
func newerVolume(t *testing.T, s *stack.Stack) {
	p := create(t, s, anyPod("", "trusting", "any", func(p *corev1.Pod) { p.GenerateName = "trusting-" }))
	kept, want := false, !beforeMinor(t, s, "1.37")
	for _, v := range p.Spec.Volumes {
		if v.Name == "plant" && v.Projected != nil && len(v.Projected.Sources) == 1 {
			kept = v.Projected.Sources[0].ClusterTrustBundle != nil
		}
	}
	if kept != want || len(p.Spec.Containers[0].VolumeMounts) == 0 || kind(p) != "CPU" {
		t.Errorf("the bundle is kept: %t, want %t; %s, volumes %v, mounted %v", kept, want, kind(p), p.Spec.Volumes, p.Spec.Containers[0].VolumeMounts)
	}
}

// beforeMinor reports whether the API server is of a minor version before one, for what
// differs between them.
func beforeMinor(t *testing.T, s *stack.Stack, minor string) bool {
	t.Helper()
	info, err := s.Client().Discovery().ServerVersion()
	if err != nil {
		t.Fatal(err)
	}
	v, err := version.ParseGeneric(info.GitVersion)
	if err != nil {
		t.Fatal(err)
	}
	return v.LessThan(version.MustParseGeneric(minor + ".0"))
}
