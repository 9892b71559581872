package mutate

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/profile"
	"heteroaccel.io/pkg/profile/v1alpha1"
)

func amountsOf(s string) corev1.ResourceList {
	if s == "" {
		return nil
	}
	list := corev1.ResourceList{}
	for part := range strings.SplitSeq(s, " ") {
		name, amount, _ := strings.Cut(part, "=")
		list[corev1.ResourceName(name)] = resource.MustParse(amount)
	}
	return list
}

func TestRequests(t *testing.T) {
	always := corev1.ContainerRestartPolicyAlways
	with := func(name, requests string) corev1.Container {
		return corev1.Container{Name: name, Resources: corev1.ResourceRequirements{Requests: amountsOf(requests), Limits: amountsOf(requests)}}
	}
	sidecar := with("proxy", "cpu=1")
	sidecar.RestartPolicy = &always
	cases := map[string]struct {
		spec corev1.PodSpec
		kind accel.Kind
		want string
	}{
		"a device": {corev1.PodSpec{Containers: []corev1.Container{with("a", "cpu=1")}}, "GPU",
			"cpu=1 gpu.intel.com/i915=1"},
		"another device replaced": {corev1.PodSpec{Containers: []corev1.Container{with("a", "nvidia.com/gpu=2 memory=1Gi ephemeral-storage=3Gi")}}, "GPU",
			"memory=1Gi ephemeral-storage=3Gi gpu.intel.com/i915=1"},
		"memory of the variant": {corev1.PodSpec{Containers: []corev1.Container{with("a", "")}}, "NPU",
			"memory=1Gi npu.intel.com/accel=1"},
		"the CPU, and the others'": {corev1.PodSpec{Containers: []corev1.Container{with("a", "cpu=500m"), with("b", "cpu=250m nvidia.com/gpu=1")}}, "CPU",
			"cpu=2250m nvidia.com/gpu=1"},
		"sidecar, init container, overhead": { // max(2+1, 1+4)+0.5
			corev1.PodSpec{
				InitContainers: []corev1.Container{sidecar, with("init", "cpu=4")},
				Containers:     []corev1.Container{with("a", "")},
				Overhead:       amountsOf("cpu=500m"),
			}, "CPU", "cpu=5500m"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			pod := &Pod{Spec: c.spec}
			before := encode(t, pod)
			got := NewPlanner(pod, Target{}, knownResource).Requests(testProfile(t).Variant(c.kind))
			if diff := cmp.Diff(amountsOf(c.want), got); diff != "" {
				t.Errorf("requests (-want +got):\n%s", diff)
			}
			if encode(t, pod) != before {
				t.Error("the pod was changed")
			}
		})
	}
}

// TestResources: the other limits of a variant, by every way the user's own
// may stand; limits, then requests.
func TestResources(t *testing.T) {
	cases := map[string]struct {
		kind                     accel.Kind
		limits, requests         string
		wantLimits, wantRequests string
	}{
		"nothing":                      {"GPU", "", "", "cpu=2 x.io/d=1", "cpu=2 x.io/d=1"},
		"the user's limit and request": {"GPU", "cpu=1", "cpu=500m", "cpu=1 x.io/d=1", "cpu=500m x.io/d=1"},
		"the user's limit alone":       {"GPU", "cpu=1", "", "cpu=1 x.io/d=1", "x.io/d=1"},
		"a smaller request":            {"GPU", "", "cpu=1", "cpu=2 x.io/d=1", "cpu=1 x.io/d=1"},
		"a larger request":             {"GPU", "", "cpu=3", "cpu=3 x.io/d=1", "cpu=3 x.io/d=1"},
		"CPU, nothing":                 {"CPU", "", "", "cpu=2 x.io/d=1", "cpu=2 x.io/d=1"},
		"CPU, less":                    {"CPU", "cpu=1", "cpu=500m", "cpu=2 x.io/d=1", "cpu=2 x.io/d=1"},
		"CPU, a larger limit":          {"CPU", "cpu=4", "cpu=500m", "cpu=4 x.io/d=1", "cpu=2 x.io/d=1"},
		"CPU, more":                    {"CPU", "cpu=8", "cpu=4", "cpu=8 x.io/d=1", "cpu=4 x.io/d=1"},
		"CPU, a limit alone":           {"CPU", "cpu=8", "", "cpu=8 x.io/d=1", "cpu=8 x.io/d=1"},
		"CPU, a larger request alone":  {"CPU", "", "cpu=4", "cpu=4 x.io/d=1", "cpu=4 x.io/d=1"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			v := &profile.Variant{Kind: c.kind, Spec: &v1alpha1.Variant{Limits: amountsOf("cpu=2 x.io/d=1")}}
			got := resourcesFor(corev1.ResourceRequirements{Limits: amountsOf(c.limits), Requests: amountsOf(c.requests)}, v, origins{}, nil)
			want := corev1.ResourceRequirements{Limits: amountsOf(c.wantLimits), Requests: amountsOf(c.wantRequests)}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("resources (-want +got):\n%s", diff)
			}
		})
	}
}

// TestWholePod: the same with amounts of the whole pod, and with those that a
// LimitRange filled in; limits, then requests.
func TestWholePod(t *testing.T) {
	type both struct{ limits, requests string }
	cases := map[string]struct {
		kind                 accel.Kind
		ranger               string // what the LimitRanger says it set for the container
		container, whole     both
		wantContainer        both
		wantWhole, wantNeeds both // needs are in requests
	}{
		"enough": {"CPU", "", both{}, both{"cpu=4", "cpu=3"},
			both{"", "cpu=2"}, both{"cpu=4", "cpu=3"}, both{"", "cpu=3"}},
		"too small a request": {"CPU", "", both{}, both{"cpu=4", "cpu=1"},
			both{"", "cpu=2"}, both{"cpu=4", "cpu=2250m"}, both{"", "cpu=2250m"}},
		"too small all over": {"CPU", "", both{}, both{"cpu=1", "cpu=1"},
			both{"", "cpu=2"}, both{"cpu=2250m", "cpu=2250m"}, both{"", "cpu=2250m"}},
		"too small a limit alone": {"CPU", "", both{}, both{"cpu=1", ""}, // the API server makes the sum the request
			both{"", "cpu=2"}, both{"cpu=2250m", ""}, both{"", "cpu=2250m"}},
		"a request alone": {"CPU", "", both{}, both{"", "cpu=1"},
			both{"cpu=2", "cpu=2"}, both{"", "cpu=2250m"}, both{"", "cpu=2250m"}},
		"the container has a limit": {"CPU", "", both{"cpu=1", "cpu=1"}, both{"cpu=2", "cpu=2"},
			both{"cpu=2", "cpu=2"}, both{"cpu=2250m", "cpu=2250m"}, both{"", "cpu=2250m"}},
		"another resource": {"CPU", "", both{}, both{"memory=1Gi", ""}, // requested as it is limited
			both{"cpu=2", "cpu=2"}, both{"memory=1Gi", ""}, both{"", "cpu=2250m memory=1Gi"}},
		"a device beside it": {"NPU", "", both{}, both{"cpu=4 memory=512Mi", "cpu=1"},
			both{"npu.intel.com/accel=1", "npu.intel.com/accel=1"}, both{"cpu=4 memory=512Mi", "cpu=1"},
			both{"", "cpu=1 memory=512Mi npu.intel.com/accel=1"}},
		"memory is not the whole pod's": {"NPU", "", both{}, both{"cpu=4", "cpu=1"},
			both{"memory=1Gi npu.intel.com/accel=1", "memory=1Gi npu.intel.com/accel=1"}, both{"cpu=4", "cpu=1"},
			both{"", "cpu=1 memory=1Gi npu.intel.com/accel=1"}},
		"a LimitRange's": {"CPU", "cpu, memory request for container inference; cpu, memory limit for container inference",
			both{"cpu=3 memory=1Gi", "cpu=2500m memory=1Gi"}, both{},
			both{"cpu=2 memory=1Gi", "cpu=2 memory=1Gi"}, both{}, both{"", "cpu=2250m memory=1Gi"}},
		"a LimitRange's request": {"CPU", "cpu request for container inference", both{"cpu=3", "cpu=2500m"}, both{},
			both{"cpu=3", "cpu=3"}, both{}, both{"", "cpu=3250m"}},
		"a LimitRange's limit": {"CPU", "cpu limit for container inference", both{"cpu=3", "cpu=2500m"}, both{},
			both{"cpu=2500m", "cpu=2500m"}, both{}, both{"", "cpu=2750m"}},
		"a LimitRange's, for others": {"CPU", "cpu limit for container inference-2; cpu limit for init container inference; cpu limit for container log",
			both{"cpu=3", "cpu=2500m"}, both{},
			both{"cpu=3", "cpu=2500m"}, both{}, both{"", "cpu=2750m"}},
		"a LimitRange's memory": {"NPU", "memory limit for container inference; memory request for container inference",
			both{"memory=256Mi", "memory=128Mi"}, both{},
			both{"memory=1Gi npu.intel.com/accel=1", "memory=1Gi npu.intel.com/accel=1"}, both{},
			both{"", "cpu=250m memory=1Gi npu.intel.com/accel=1"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			pod := asked(corev1.Container{Resources: corev1.ResourceRequirements{Limits: amountsOf(c.container.limits), Requests: amountsOf(c.container.requests)}})
			pod.Spec.Containers = append(pod.Spec.Containers, corev1.Container{Name: "log", Resources: corev1.ResourceRequirements{Requests: amountsOf("cpu=250m")}})
			if c.whole != (both{}) {
				pod.Spec.Resources = &corev1.ResourceRequirements{Limits: amountsOf(c.whole.limits), Requests: amountsOf(c.whole.requests)}
			}
			if c.ranger != "" {
				pod.Metadata.Annotations["kubernetes.io/limit-ranger"] = "LimitRanger plugin set: " + c.ranger
			}
			after := mutated(t, pod, c.kind)
			got := after.Spec.Containers[0].Resources
			check := func(what string, got corev1.ResourceList, want string) {
				t.Helper()
				if diff := cmp.Diff(encode(t, amountsOf(want)), encode(t, got)); diff != "" && len(got)+len(amountsOf(want)) > 0 {
					t.Errorf("%s (-want +got):\n%s", what, diff)
				}
			}
			check("the container's limits", got.Limits, c.wantContainer.limits)
			check("the container's requests", got.Requests, c.wantContainer.requests)
			if whole := after.Spec.Resources; whole != nil {
				check("the pod's limits", whole.Limits, c.wantWhole.limits)
				check("the pod's requests", whole.Requests, c.wantWhole.requests)
			}
			check("needs", NewPlanner(pod, Target{}, knownResource).Requests(testProfile(t).Variant(c.kind)), c.wantNeeds.requests)
			undone, ok := Undo(after, testKey, "default")
			if !ok {
				t.Fatal("the record does not verify")
			}
			if diff := cmp.Diff(encode(t, pod.Spec.Resources), encode(t, undone.Spec.Resources)); diff != "" {
				t.Errorf("undone (-want +got):\n%s", diff)
			}
		})
	}
}

// TestPlanner: what one variant needs does not depend on which was asked about before.
func TestPlanner(t *testing.T) {
	p := testProfile(t)
	pod := &Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{
		{Name: "a", Resources: corev1.ResourceRequirements{Limits: amountsOf("cpu=1 nvidia.com/gpu=2"), Requests: amountsOf("cpu=1 nvidia.com/gpu=2")}},
		{Name: "b", Resources: corev1.ResourceRequirements{Requests: amountsOf("memory=1Gi")}},
	}}}
	shared := NewPlanner(pod, Target{}, knownResource)
	for range 2 {
		for i := range p.Variants {
			v := &p.Variants[i]
			if diff := cmp.Diff(NewPlanner(pod, Target{}, knownResource).Requests(v), shared.Requests(v)); diff != "" {
				t.Errorf("%s (-alone +after others):\n%s", v.Kind, diff)
			}
			if diff := cmp.Diff(Planned(pod, Target{}, v, knownResource), shared.Planned(v)); diff != "" {
				t.Errorf("%s (-alone +after others):\n%s", v.Kind, diff)
			}
		}
	}
}
