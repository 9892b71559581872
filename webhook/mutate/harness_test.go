package mutate

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	jsonpatch "gopkg.in/evanphx/json-patch.v4"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/profile"
	"heteroaccel.io/pkg/profile/v1alpha1"
)

// review does what the webhook's server does with the JSON of a pod.
func review(raw []byte, p *profile.Profile, kind accel.Kind) ([]byte, error) {
	out, _, err := reviewed(raw, p, kind)
	return out, err
}

// reviewed is review with the warnings.
func reviewed(raw []byte, p *profile.Profile, kind accel.Kind) (out []byte, warnings []string, err error) {
	pod := &Pod{}
	if err := json.Unmarshal(raw, pod); err != nil {
		return nil, nil, err
	}
	after, ops, err := mutateOnce(pod, p, kind)
	if err != nil {
		return nil, nil, err
	}
	out, err = patched(raw, after, ops)
	return out, after.Warnings, err
}

// patched applies ops to the JSON of a pod, and holds the result against after.
func patched(raw []byte, after *Pod, ops []Op) ([]byte, error) {
	encoded, err := json.Marshal(ops)
	if err != nil {
		return nil, err
	}
	patch, err := jsonpatch.DecodePatch(encoded)
	if err != nil {
		return nil, err
	}
	out, err := patch.Apply(raw)
	if err != nil {
		return nil, fmt.Errorf("apply %s: %w", encoded, err)
	}
	// The patch says what Apply did.
	var patched Pod
	if err := json.Unmarshal(out, &patched); err != nil {
		return nil, err
	}
	a, _ := json.Marshal(after)
	b, _ := json.Marshal(&patched)
	if !bytes.Equal(a, b) {
		return nil, fmt.Errorf("the patch does not lead to the applied pod: %s", gocmp.Diff(string(a), string(b)))
	}
	return out, nil
}

func mutateOnce(pod *Pod, p *profile.Profile, kind accel.Kind) (*Pod, []Op, error) {
	before, _ := json.Marshal(pod)
	req, ours, err := accel.ParseRequest(pod.Metadata.Annotations)
	if err != nil || !ours {
		return nil, nil, fmt.Errorf("request: ours %v, %w", ours, err)
	}
	undone, _ := Undo(pod, testKey, "default")
	target, err := FindTarget(undone, req, p, knownResource)
	if err != nil {
		return nil, nil, err
	}
	if err := Check(undone, target); err != nil {
		return nil, nil, err
	}
	after, err := Apply(undone, Input{
		Request: req, Profile: p, Variant: variantOf(p, kind), Target: target,
		Decision:  Decision{Kind: kind, Reason: string(kind) + " is idle on node g", Reservation: "r-1"},
		Known:     knownResource,
		Keys:      testKey,
		Namespace: "default",
	})
	if err != nil {
		return nil, nil, err
	}
	ops := Diff(pod, after, target)
	if now, _ := json.Marshal(pod); !bytes.Equal(before, now) {
		return nil, nil, fmt.Errorf("the input was changed: %s", gocmp.Diff(string(before), string(now)))
	}
	return after, ops, nil
}

// variantOf is the variant as a pod gets it: late where its profile binds late.
func variantOf(p *profile.Profile, kind accel.Kind) *profile.Variant {
	if p.Binding == profile.Late {
		return p.LateVariant(kind)
	}
	return p.Variant(kind)
}

func knownResource(name corev1.ResourceName) bool {
	return slices.Contains([]corev1.ResourceName{
		"gpu.intel.com/i915", "npu.intel.com/accel", "fpga.intel.com/arria10.dcp1.2-nlb0", "nvidia.com/gpu",
	}, name)
}

// testProfile is the profile of most tests.
func testProfile(t testing.TB) *profile.Profile {
	t.Helper()
	return readProfile(t, "profile")
}

// readProfile reads the spec of a profile below testdata, changed by edits, as the
// profile store would.
func readProfile(t testing.TB, file string, edits ...func(*v1alpha1.InferenceProfileSpec)) *profile.Profile {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("testdata", file))
	if err != nil {
		t.Fatal(err)
	}
	var spec v1alpha1.InferenceProfileSpec
	if err := yaml.UnmarshalStrict(content, &spec); err != nil {
		t.Fatal(err)
	}
	for _, edit := range edits {
		edit(&spec)
	}
	name := "face-recognition"
	if _, other, ok := strings.Cut(file, "-"); ok {
		name = other
	}
	p, err := profile.New(&v1alpha1.InferenceProfile{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: spec})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// templateOf returns the JSON of a pod, or of the pod that a workload's
// controller would make of its template.
func templateOf(t *testing.T, doc string) []byte {
	t.Helper()
	var object struct {
		Kind string `json:"kind"`
		Spec struct {
			Template struct {
				Metadata map[string]any `json:"metadata"`
				Spec     map[string]any `json:"spec"`
			} `json:"template"`
		} `json:"spec"`
	}
	if err := yaml.Unmarshal([]byte(doc), &object); err != nil {
		t.Fatal(err)
	}
	var pod map[string]any
	if object.Kind == "Pod" {
		if err := yaml.Unmarshal([]byte(doc), &pod); err != nil {
			t.Fatal(err)
		}
	} else {
		pod = map[string]any{
			"apiVersion": "v1", "kind": "Pod",
			"metadata": object.Spec.Template.Metadata, "spec": object.Spec.Template.Spec,
		}
	}
	// As the API server fills it in before any webhook is asked.
	if spec := pod["spec"].(map[string]any); spec["securityContext"] == nil {
		spec["securityContext"] = map[string]any{}
	}
	raw, err := json.Marshal(pod)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// validate checks the rules of Kubernetes' pod validation that a mutation
// could break.
func validate(t *testing.T, raw []byte) {
	t.Helper()
	pod := decode(t, raw)
	var strict corev1.Pod
	if err := json.Unmarshal(raw, &strict); err != nil {
		t.Fatalf("not a pod: %v", err)
	}
	volumes := map[string]bool{}
	for _, v := range pod.Spec.Volumes {
		if volumes[v.Name] {
			t.Errorf("volume %q twice", v.Name)
		}
		volumes[v.Name] = true
	}
	size := 0
	for k, v := range pod.Metadata.Annotations {
		size += len(k) + len(v)
	}
	if size > 256<<10 {
		t.Errorf("annotations of %d bytes", size)
	}
	for _, c := range slices.Concat(pod.Spec.InitContainers, pod.Spec.Containers) {
		paths := map[string]bool{}
		for _, m := range c.VolumeMounts {
			if paths[m.MountPath] || !volumes[m.Name] {
				t.Errorf("container %s: mount %s of %s: path twice, or no such volume", c.Name, m.MountPath, m.Name)
			}
			paths[m.MountPath] = true
		}
		for name, request := range c.Resources.Requests {
			limit, limited := c.Resources.Limits[name]
			if limited && request.Cmp(limit) > 0 {
				t.Errorf("container %s requests %s of %s, more than its limit of %s", c.Name, &request, name, &limit)
			}
			if strings.Contains(string(name), "/") && (!limited || request.Cmp(limit) != 0) {
				t.Errorf("container %s: limit of extended resource %s is not its request", c.Name, name)
			}
		}
	}
}

func decode(t testing.TB, raw []byte) *Pod {
	t.Helper()
	pod := &Pod{}
	if err := json.Unmarshal(raw, pod); err != nil {
		t.Fatal(err)
	}
	return pod
}

func encode(t testing.TB, v any) string {
	t.Helper()
	raw, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// normal is a document's JSON with sorted keys.
func normal(t testing.TB, raw []byte) string {
	t.Helper()
	var v any
	if err := json.Unmarshal(raw, &v); err != nil {
		t.Fatal(err)
	}
	return encode(t, v)
}
