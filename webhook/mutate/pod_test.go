package mutate

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	jsonpatch "gopkg.in/evanphx/json-patch.v4"
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
			got := Requests(Planned(pod, Target{}, testProfile(t).Variant(c.kind), knownResource))
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
			check("needs", Requests(Planned(pod, Target{}, testProfile(t).Variant(c.kind), knownResource)), c.wantNeeds.requests)
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

// TestDiff: the operations themselves, where the goldens show only what they
// lead to.
func TestDiff(t *testing.T) {
	added := &Pod{
		Metadata: Metadata{Annotations: map[string]string{accel.SelectedAnnotation: "GPU", "a/b~c": "d"}},
		Spec: corev1.PodSpec{
			SecurityContext: &corev1.PodSecurityContext{SupplementalGroups: []int64{7}},
			NodeSelector:    map[string]string{"a/b~c": "d"},
			Containers:      []corev1.Container{{Env: []corev1.EnvVar{{Name: "A"}}, Image: "i", Resources: corev1.ResourceRequirements{Limits: amountsOf("cpu=1")}}},
		},
	}
	cases := map[string]struct {
		raw   string // the pod as it arrives
		after *Pod
		want  string
	}{
		"nothing": {`{"metadata":{},"spec":{"containers":[{}]}}`, &Pod{Spec: corev1.PodSpec{Containers: make([]corev1.Container, 1)}}, `[]`},
		"parents made": {`{"metadata":{},"spec":{"containers":[{}]}}`, added, `[
			{"op":"add","path":"/metadata/annotations","value":{"a/b~c":"d","heteroaccel.io/selected":"GPU"}},
			{"op":"add","path":"/spec/containers/0/image","value":"i"},
			{"op":"add","path":"/spec/containers/0/env","value":[{"name":"A"}]},
			{"op":"add","path":"/spec/containers/0/resources","value":{"limits":{"cpu":"1"}}},
			{"op":"add","path":"/spec/nodeSelector","value":{"a/b~c":"d"}},
			{"op":"add","path":"/spec/securityContext","value":{"supplementalGroups":[7]}}]`},
		"null parents": {`{"metadata":{"annotations":null},"spec":{"nodeSelector":null,"securityContext":null,"containers":[{"env":null,"resources":null,"image":"i"}]}}`, added, `[
			{"op":"add","path":"/metadata/annotations","value":{"a/b~c":"d","heteroaccel.io/selected":"GPU"}},
			{"op":"add","path":"/spec/containers/0/env","value":[{"name":"A"}]},
			{"op":"add","path":"/spec/containers/0/resources","value":{"limits":{"cpu":"1"}}},
			{"op":"add","path":"/spec/nodeSelector","value":{"a/b~c":"d"}},
			{"op":"add","path":"/spec/securityContext","value":{"supplementalGroups":[7]}}]`},
		"keys escaped, lists appended to": {`{"metadata":{"annotations":{"a/b~c":"d"}},"spec":{"securityContext":{"supplementalGroups":[1]},"nodeSelector":{"x":"y"},
			"containers":[{"image":"old","env":[{"name":"B"}],"resources":{"requests":{"cpu":"1"}}}]}}`,
			&Pod{
				Metadata: added.Metadata,
				Spec: corev1.PodSpec{
					SecurityContext: &corev1.PodSecurityContext{SupplementalGroups: []int64{1, 7}},
					NodeSelector:    map[string]string{"a/b~c": "d", "x": "y"},
					Containers: []corev1.Container{{Image: "i", Env: []corev1.EnvVar{{Name: "B"}, {Name: "A"}},
						Resources: corev1.ResourceRequirements{Limits: amountsOf("cpu=1"), Requests: amountsOf("cpu=1000m")}}},
				},
			}, `[
			{"op":"add","path":"/metadata/annotations/heteroaccel.io~1selected","value":"GPU"},
			{"op":"add","path":"/spec/containers/0/image","value":"i"},
			{"op":"add","path":"/spec/containers/0/env/-","value":{"name":"A"}},
			{"op":"add","path":"/spec/containers/0/resources/limits","value":{"cpu":"1"}},
			{"op":"add","path":"/spec/nodeSelector/a~1b~0c","value":"d"},
			{"op":"add","path":"/spec/securityContext/supplementalGroups/-","value":7}]`},
		"empty values are values": {`{"metadata":{"annotations":{"heteroaccel.io/selected":"x"}},"spec":{"containers":[{"args":["a"]}]}}`,
			&Pod{Metadata: Metadata{Annotations: map[string]string{accel.SelectedAnnotation: ""}},
				Spec: corev1.PodSpec{Containers: []corev1.Container{{Args: []string{""}}}}}, `[
			{"op":"replace","path":"/metadata/annotations/heteroaccel.io~1selected","value":""},
			{"op":"replace","path":"/spec/containers/0/args/0","value":""}]`},
		"removals": {`{"metadata":{"annotations":{"heteroaccel.io/selected":"x","y":"z"}},"spec":{"nodeSelector":{"x":"y","z":"y"},"securityContext":{"supplementalGroups":[1,2]},
			"volumes":[{"name":"a"},{"name":"b"},{"name":"c"}],
			"containers":[{"args":["a","b"],"command":["c"],"env":[{"name":"A"},{"name":"B"},{"name":"C"}],"resources":{"limits":{"cpu":"1"},"requests":{"cpu":"1"}}}]}}`,
			&Pod{Metadata: Metadata{Annotations: map[string]string{"y": "z"}},
				Spec: corev1.PodSpec{
					NodeSelector: map[string]string{"x": "n"}, SecurityContext: &corev1.PodSecurityContext{SupplementalGroups: []int64{2}},
					Volumes: []corev1.Volume{{Name: "b"}},
					Containers: []corev1.Container{{Args: []string{"b"}, Env: []corev1.EnvVar{{Name: "A"}, {Name: "C", Value: "c"}, {Name: "B"}},
						Resources: corev1.ResourceRequirements{Limits: amountsOf("cpu=1")}}},
				}}, `[
			{"op":"remove","path":"/metadata/annotations/heteroaccel.io~1selected"},
			{"op":"remove","path":"/spec/containers/0/command"},
			{"op":"replace","path":"/spec/containers/0/args","value":["b"]},
			{"op":"remove","path":"/spec/containers/0/env/1"},
			{"op":"replace","path":"/spec/containers/0/env/1","value":{"name":"C","value":"c"}},
			{"op":"add","path":"/spec/containers/0/env/-","value":{"name":"B"}},
			{"op":"remove","path":"/spec/containers/0/resources/requests"},
			{"op":"remove","path":"/spec/volumes/0"},
			{"op":"remove","path":"/spec/volumes/1"},
			{"op":"replace","path":"/spec/nodeSelector/x","value":"n"},
			{"op":"remove","path":"/spec/nodeSelector/z"},
			{"op":"remove","path":"/spec/securityContext/supplementalGroups/0"}]`},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			ops, err := json.Marshal(Diff(decode(t, []byte(c.raw)), c.after, Target{}))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(normal(t, []byte(c.want)), normal(t, ops)); diff != "" {
				t.Errorf("operations (-want +got):\n%s", diff)
			}
			patch, err := jsonpatch.DecodePatch(ops)
			if err != nil {
				t.Fatal(err)
			}
			patched, err := patch.Apply([]byte(c.raw))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(encode(t, c.after), encode(t, decode(t, patched))); diff != "" {
				t.Errorf("patched (-want +got):\n%s", diff)
			}
		})
	}
}

func TestCompatible(t *testing.T) {
	p := testProfile(t)
	pod := asked(corev1.Container{})
	pod.Spec.NodeSelector = map[string]string{"example.com/npu": "false"}
	if err := Compatible(pod, Target{}, p.Variant("NPU")); err == nil {
		t.Error("NPU: no error")
	}
	if err := Compatible(pod, Target{}, p.Variant("GPU")); err != nil {
		t.Errorf("GPU: %v", err)
	}
	if err := Compatible(pod, Target{Index: 1}, p.Variant("GPU")); err == nil {
		t.Error("no such container, and no error")
	}
}

// TestDefaulted: what a variant adds is as the API server leaves it.
func TestDefaulted(t *testing.T) {
	const sparse = `{"volumes":[{"name":"e"},{"name":"h","hostPath":{"path":"/p"}},{"name":"s","secret":{"secretName":"x"}},
		{"name":"c","configMap":{"name":"x"}},{"name":"d","downwardAPI":{"items":[{"path":"p","fieldRef":{"fieldPath":"f"}}]}},
		{"name":"p","projected":{"sources":[{"serviceAccountToken":{"path":"t"}},{"downwardAPI":{"items":[{"path":"p","fieldRef":{"fieldPath":"f"}}]}}]}}]}`
	const full = `{"volumes":[{"name":"e","emptyDir":{}},{"name":"h","hostPath":{"path":"/p","type":""}},{"name":"s","secret":{"secretName":"x","defaultMode":420}},
		{"name":"c","configMap":{"name":"x","defaultMode":420}},{"name":"d","downwardAPI":{"defaultMode":420,"items":[{"path":"p","fieldRef":{"apiVersion":"v1","fieldPath":"f"}}]}},
		{"name":"p","projected":{"defaultMode":420,"sources":[{"serviceAccountToken":{"path":"t","expirationSeconds":3600}},{"downwardAPI":{"items":[{"path":"p","fieldRef":{"apiVersion":"v1","fieldPath":"f"}}]}}]}}]}`
	var in, want corev1.PodSpec
	for raw, spec := range map[string]*corev1.PodSpec{sparse: &in, full: &want} {
		if err := json.Unmarshal([]byte(raw), spec); err != nil {
			t.Fatal(err)
		}
	}
	before := encode(t, in)
	for _, once := range []bool{true, false} {
		var got []corev1.Volume
		for _, v := range in.Volumes {
			v = defaultedVolume(v)
			if !once {
				v = defaultedVolume(v)
			}
			got = append(got, v)
		}
		if diff := cmp.Diff(want.Volumes, got); diff != "" {
			t.Errorf("volumes (-want +got):\n%s", diff)
		}
	}
	if encode(t, in) != before {
		t.Error("the input was changed")
	}
}
