package mutate

import (
	"bytes"
	"cmp"
	"encoding/json"
	"flag"
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

var update = flag.Bool("update", false, "rewrite the expected pods in testdata")

var testKey = []byte("a key for tests, of 32 bytes long")

// ask is the first document of a golden file; the second is the pod or the
// workload whose template it is, the third the pod that must come out, and the
// fourth the warnings that must come with it: without it there are none.
type ask struct {
	Test string `json:"test"`
	// Variant is the kind that is given.
	Variant accel.Kind `json:"variant"`
	// Profile is the file of the profile, "profile" if it is not said.
	Profile string `json:"profile,omitempty"`
	// DeviceFlags replace the profile's.
	DeviceFlags []string `json:"deviceFlags,omitempty"`
	// Between is a JSON patch that other webhooks make between the first and
	// the second invocation of ours.
	Between json.RawMessage `json:"between,omitempty"`
	// Error is the sentence of a refusal: then there is no third document.
	Error string `json:"error,omitempty"`
}

// TestGolden applies each case through its patch to the pod's JSON, and then
// holds against it what must be true of every mutation.
func TestGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no golden files: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".yaml"), func(t *testing.T) {
			content, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			docs := strings.Split(string(content), "\n---\n")
			if len(docs) < 2 {
				t.Fatalf("%s has %d documents, want 2 or 3", file, len(docs))
			}
			docs[1] = strings.TrimSuffix(docs[1], "\n") + "\n"
			var a ask
			if err := yaml.UnmarshalStrict([]byte(docs[0]), &a); err != nil {
				t.Fatalf("read what is asked: %v", err)
			}
			raw := templateOf(t, docs[1])
			p := readProfile(t, cmp.Or(a.Profile, "profile"))
			if a.DeviceFlags != nil {
				p.DeviceFlags = a.DeviceFlags
			}

			once, warnings, err := reviewed(raw, p, a.Variant)
			if a.Error != "" {
				if err == nil || err.Error() != a.Error {
					t.Fatalf("error is\n%v, want\n%s", err, a.Error)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			final := once
			if a.Between != nil {
				patched, err := jsonpatch.DecodePatch(a.Between)
				if err != nil {
					t.Fatal(err)
				}
				if final, err = patched.Apply(once); err != nil {
					t.Fatal(err)
				}
			}
			checkInvariants(t, raw, once, final, p, a.Variant)

			got, err := yaml.JSONToYAML(final)
			if err != nil {
				t.Fatal(err)
			}
			said := ""
			if len(warnings) > 0 {
				list, err := yaml.Marshal(map[string][]string{"warnings": warnings})
				if err != nil {
					t.Fatal(err)
				}
				said = string(list)
			}
			if *update {
				out := docs[0] + "\n---\n" + docs[1] + "---\n" + string(got)
				if said != "" {
					out += "---\n" + said
				}
				if err := os.WriteFile(file, []byte(out), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if len(docs) < 3 {
				t.Fatalf("%s has no expected pod: run with -update", file)
			}
			docs = append(docs, "")
			if diff := gocmp.Diff(strings.TrimSuffix(docs[2], "\n"), strings.TrimSuffix(string(got), "\n")); diff != "" {
				t.Errorf("pod (-want +got):\n%s", diff)
			}
			if diff := gocmp.Diff(docs[3], said); diff != "" {
				t.Errorf("warnings (-want +got):\n%s", diff)
			}
		})
	}
}

// checkInvariants holds of once, the result of raw's first review, and final,
// that pod after other webhooks, what must be true of every mutation.
func checkInvariants(t *testing.T, raw, once, final []byte, p *profile.Profile, kind accel.Kind) {
	t.Helper()
	for _, pod := range [][]byte{once, final} {
		again, err := review(pod, p, kind)
		if err != nil {
			t.Fatalf("second review: %v", err)
		}
		if diff := gocmp.Diff(normal(t, pod), normal(t, again)); diff != "" {
			t.Errorf("a second review changes the pod (-first +second):\n%s", diff)
		}
		validate(t, again)
	}
	undone, ok := Undo(decode(t, once), testKey, "default")
	if !ok {
		t.Error("the record does not verify")
	}
	want := decode(t, raw)
	for _, name := range annotations {
		delete(want.Metadata.Annotations, name)
	}
	if diff := gocmp.Diff(encode(t, want), encode(t, undone)); diff != "" {
		t.Errorf("undone (-original +undone):\n%s", diff)
	}
	// From every kind to every other and back.
	for _, v := range p.Variants {
		other, err := review(final, p, v.Kind)
		if err != nil {
			continue // the user's pod has something against this variant
		}
		validate(t, other)
		back, err := review(other, p, kind)
		if err != nil {
			t.Fatalf("back from %s: %v", v.Kind, err)
		}
		if diff := gocmp.Diff(normal(t, final), normal(t, back)); diff != "" {
			t.Errorf("by way of %s (-direct +detour):\n%s", v.Kind, diff)
		}
	}
}

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
		Request: req, Profile: p, Variant: p.Variant(kind), Target: target,
		Decision:  Decision{Kind: kind, Reason: string(kind) + " is idle on node g", Reservation: "r-1"},
		Known:     knownResource,
		Key:       testKey,
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

// readProfile reads the spec of a profile below testdata as the profile store
// would.
func readProfile(t testing.TB, file string) *profile.Profile {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("testdata", file))
	if err != nil {
		t.Fatal(err)
	}
	var spec v1alpha1.InferenceProfileSpec
	if err := yaml.UnmarshalStrict(content, &spec); err != nil {
		t.Fatal(err)
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
