package mutate

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/resource"

	"heteroaccel.io/pkg/accel"
	sealed "heteroaccel.io/pkg/record"
)

// asked returns a pod that asks for an inference, with one container.
func asked(c corev1.Container) *Pod {
	c.Name = "inference"
	return &Pod{
		Metadata: Metadata{Name: "camera-1", Annotations: map[string]string{accel.InferenceAnnotation: "face-recognition"}},
		Spec:     corev1.PodSpec{Containers: []corev1.Container{c}},
	}
}

// mutated returns what the webhook makes of pod for a kind.
func mutated(t testing.TB, pod *Pod, kind accel.Kind) *Pod {
	t.Helper()
	after, _, err := mutateOnce(pod, testProfile(t), kind)
	if err != nil {
		t.Fatal(err)
	}
	return after
}

// TestForgedRecord: a record that is not sealed by us for this very pod is
// rejected, and the pod keeps all but our annotations.
func TestForgedRecord(t *testing.T) {
	genuine := mutated(t, asked(corev1.Container{Image: "a:1", Args: []string{"-d", "GPU"}}), "NPU")
	original := genuine.Metadata.Annotations[accel.OriginalAnnotation]
	code, content, _ := strings.Cut(original, " ")
	huge := strings.Repeat("x", 3*sealed.MaxContent)
	cases := map[string]struct {
		original, reservation, namespace string
		key                              *sealed.Keys
	}{
		"other key":             {original, "r-1", "default", sealed.NewKeys([]byte("another key"))},
		"no key":                {original, "r-1", "default", nil},
		"other namespace":       {original, "r-1", "kube-system", testKey},
		"other reservation":     {original, "r-2", "default", testKey},
		"parts moved":           {original, "1", "defaultr-", testKey},
		"no reservation":        {original, "", "default", testKey},
		"truncated":             {original[:len(original)-1], "r-1", "default", testKey},
		"no code":               {content, "r-1", "default", testKey},
		"code alone":            {code, "r-1", "default", testKey},
		"half a code":           {code[:20] + " " + content, "r-1", "default", testKey},
		"empty code":            {" " + content, "r-1", "default", testKey},
		"other content":         {strings.Replace(original, "a:1", "evil:1", 1), "r-1", "default", testKey},
		"longer":                {original + " ", "r-1", "default", testKey},
		"empty":                 {"", "r-1", "default", testKey},
		"huge":                  {huge, "r-1", "default", testKey},
		"huge, genuine":         {sealed.Seal(huge, testKey, "default", "r-1"), "r-1", "default", testKey},
		"genuine, not a record": {sealed.Seal("[1]", testKey, "default", "r-1"), "r-1", "default", testKey},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			pod := *genuine
			pod.Metadata.Annotations = maps.Clone(pod.Metadata.Annotations)
			pod.Metadata.Annotations[accel.OriginalAnnotation] = c.original
			pod.Metadata.Annotations[accel.ReservationAnnotation] = c.reservation
			got, ok := Undo(&pod, c.key, c.namespace)
			if ok {
				t.Fatal("it is accepted")
			}
			want := *genuine
			want.Metadata.Annotations = map[string]string{accel.InferenceAnnotation: "face-recognition"}
			if diff := cmp.Diff(&want, got); diff != "" {
				t.Errorf("pod (-want +got):\n%s", diff)
			}
		})
	}
	if _, ok := Undo(genuine, testKey, "default"); !ok {
		t.Error("the genuine record is not accepted")
	}
}

// TestUndoNothing: a pod that we never saw comes back as it is.
func TestUndoNothing(t *testing.T) {
	pod := asked(corev1.Container{Image: "a:1"})
	if got, ok := Undo(pod, testKey, "default"); ok || got != pod {
		t.Errorf("got another pod, ok %v", ok)
	}
}

// TestUndoKeepsOthersChanges: what somebody changed or added since stays.
func TestUndoKeepsOthersChanges(t *testing.T) {
	original := asked(corev1.Container{
		Image:     "a:1",
		Args:      []string{"-d", "GPU"},
		Resources: corev1.ResourceRequirements{Requests: corev1.ResourceList{"cpu": resource.MustParse("1")}},
	})
	cases := map[string]struct{ change, want func(*Pod) }{
		"image": {
			func(p *Pod) { p.Spec.Containers[0].Image = "new:2" },
			func(p *Pod) { p.Spec.Containers[0].Image = "new:2" },
		},
		"args appended": {
			func(p *Pod) { c := &p.Spec.Containers[0]; c.Args = append(slices.Clone(c.Args), "-v") },
			func(p *Pod) { p.Spec.Containers[0].Args = []string{"-d", "GPU", "-v"} },
		},
		"args changed": {
			func(p *Pod) { p.Spec.Containers[0].Args = []string{"-d", "NPU", "-x"} },
			func(p *Pod) { p.Spec.Containers[0].Args = []string{"-d", "NPU", "-x"} },
		},
		"limit resized": {
			func(p *Pod) {
				c := &p.Spec.Containers[0]
				c.Resources.Limits = maps.Clone(c.Resources.Limits)
				c.Resources.Limits["memory"] = resource.MustParse("2Gi")
			},
			func(p *Pod) {
				p.Spec.Containers[0].Resources.Limits = corev1.ResourceList{"memory": resource.MustParse("2Gi")}
			},
		},
		"selector": {
			func(p *Pod) { p.Spec.NodeSelector = map[string]string{"example.com/npu": "other", "a": "b"} },
			func(p *Pod) { p.Spec.NodeSelector = map[string]string{"example.com/npu": "other", "a": "b"} },
		},
		"variable added": {
			func(p *Pod) {
				c := &p.Spec.Containers[0]
				c.Env = append(slices.Clone(c.Env), corev1.EnvVar{Name: "X", Value: "y"})
			},
			func(p *Pod) { p.Spec.Containers[0].Env = []corev1.EnvVar{{Name: "X", Value: "y"}} },
		},
		"volume of the service account": {
			func(p *Pod) {
				p.Spec.Volumes = slices.Insert(slices.Clone(p.Spec.Volumes), 0, corev1.Volume{Name: "token"})
				c := &p.Spec.Containers[0]
				c.VolumeMounts = slices.Insert(slices.Clone(c.VolumeMounts), 0, corev1.VolumeMount{Name: "token", MountPath: "/token"})
			},
			func(p *Pod) {
				p.Spec.Volumes = []corev1.Volume{{Name: "token"}}
				p.Spec.Containers[0].VolumeMounts = []corev1.VolumeMount{{Name: "token", MountPath: "/token"}}
			},
		},
		"container renamed": {
			func(p *Pod) { p.Spec.Containers[0].Name = "other" },
			nil, // its parts stay; checked below
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			pod := mutated(t, original, "NPU")
			pod.Spec.Containers = slices.Clone(pod.Spec.Containers)
			c.change(pod)
			got, ok := Undo(pod, testKey, "default")
			if !ok {
				t.Fatal("the record is not accepted")
			}
			if c.want == nil {
				if diff := cmp.Diff(pod.Spec.Containers, got.Spec.Containers); diff != "" {
					t.Errorf("containers (-want +got):\n%s", diff)
				}
				return
			}
			want := decode(t, []byte(encode(t, original)))
			c.want(want)
			if diff := cmp.Diff(encode(t, want), encode(t, got)); diff != "" {
				t.Errorf("pod (-want +got):\n%s", diff)
			}
		})
	}
}

// TestRecordTooLarge: what cannot be recorded is refused before the API server
// would refuse it.
func TestRecordTooLarge(t *testing.T) {
	pod := asked(corev1.Container{Args: []string{strings.Repeat("-d GPU ", 20000)}})
	_, _, err := mutateOnce(pod, testProfile(t), "NPU")
	want := `container "inference" has too many device flags or too large variables to be recorded`
	if err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("error is %v, want %s …", err, want)
	}
	long := asked(corev1.Container{Args: []string{strings.Repeat("x ", 100_000) + "-d GPU"}})
	if n := len(mutated(t, long, "NPU").Metadata.Annotations[accel.OriginalAnnotation]); n > 2000 {
		t.Errorf("the record of one flag in a long script has %d bytes", n)
	}
}

// TestRecordIsPlain: people can read the record, and it is what seal says.
func TestRecordIsPlain(t *testing.T) {
	pod := mutated(t, asked(corev1.Container{Image: "a:1"}), "GPU")
	code, content, _ := strings.Cut(pod.Metadata.Annotations[accel.OriginalAnnotation], " ")
	_, code, _ = strings.Cut(code, ".") // after the id of the key
	if raw, err := base64.RawURLEncoding.DecodeString(code); err != nil || len(raw) != 32 {
		t.Errorf("code %q: %d bytes, %v", code, len(raw), err)
	}
	var r record
	if err := json.Unmarshal([]byte(content), &r); err != nil || r.Container != "inference" || r.Image.Was != "a:1" {
		t.Errorf("record %s: %v", content, err)
	}
}

// TestApplyWithoutKey: nothing is mutated that could not be undone.
func TestApplyWithoutKey(t *testing.T) {
	p := testProfile(t)
	_, err := Apply(asked(corev1.Container{}), Input{Profile: p, Variant: p.Variant("GPU")})
	if err == nil {
		t.Error("no error")
	}
	if _, err := Apply(asked(corev1.Container{}), Input{Profile: p, Keys: testKey}); err == nil {
		t.Error("no variant, and no error")
	}
	if _, err := Apply(&Pod{}, Input{Profile: p, Variant: p.Variant("GPU"), Keys: testKey}); err == nil {
		t.Error("no container, and no error")
	}
}

// FuzzUndo makes pods of command lines, variables and amounts, and holds that
// for each kind Undo takes Apply back, and that a second review is silent.
func FuzzUndo(f *testing.F) {
	f.Add("bash -c", "./app -d GPU|x", "A=1 HETEROACCEL_DEVICE=CPU A=2", uint16(0x1234), uint8(1))
	f.Add("", "", "", uint16(0), uint8(0))
	f.Add("./app -d", "GPU --batch_size 1", "NODE=x NODE= ZE_ENABLE_ALT_DRIVERS=y", uint16(0xffff), uint8(2))
	f.Add("sh", "-c -d=GPU|-d|'CPU' -d NPU", "X=$(HETEROACCEL_DEVICE)", uint16(0x0f0f), uint8(3))
	p := testProfile(f)
	f.Fuzz(func(t *testing.T, command, args, env string, bits uint16, kind uint8) {
		words := func(s string) []string { // "|" stands for a space within a word
			var out []string
			for _, w := range strings.Fields(strings.ToValidUTF8(s, "?")) {
				out = append(out, strings.ReplaceAll(w, "|", " "))
			}
			return out
		}
		c := corev1.Container{Image: "a:1", Command: words(command), Args: words(args)}
		for _, w := range words(env) {
			name, value, _ := strings.Cut(w, "=")
			c.Env = append(c.Env, corev1.EnvVar{Name: name, Value: value})
		}
		for i, name := range []corev1.ResourceName{"cpu", "memory", "gpu.intel.com/i915", "example.com/x"} {
			request, limit := int64(bits>>(4*i))&3, int64(bits>>(4*i+2))&3
			if strings.Contains(string(name), "/") {
				request = limit
			}
			if limit != 0 {
				request = min(request, limit)
				setAmount(&c.Resources.Limits, name, limit)
			}
			if request != 0 {
				setAmount(&c.Resources.Requests, name, request)
			}
		}
		pod := asked(c)
		original, err := json.Marshal(pod)
		if err != nil {
			t.Fatal(err)
		}
		v := p.Variants[int(kind)%len(p.Variants)]
		after, _, err := mutateOnce(pod, p, v.Kind)
		if err != nil {
			t.Fatal(err)
		}
		undone, ok := Undo(after, testKey, "default")
		if back, _ := json.Marshal(undone); !ok || !bytes.Equal(original, back) {
			t.Fatalf("%s: undone %v (-original +undone):\n%s", v.Kind, ok, cmp.Diff(encode(t, pod), encode(t, undone)))
		}
		again, ops, err := mutateOnce(after, p, v.Kind)
		if err != nil || len(ops) > 0 {
			t.Fatalf("%s: a second review says %v, %v", v.Kind, ops, err)
		}
		if !equality.Semantic.DeepEqual(after, again) {
			t.Fatalf("%s: second review (-first +second):\n%s", v.Kind, cmp.Diff(after, again))
		}
		written, err := json.Marshal(after)
		if err != nil {
			t.Fatal(err)
		}
		validate(t, written)
	})
}

func setAmount(list *corev1.ResourceList, name corev1.ResourceName, n int64) {
	if *list == nil {
		*list = corev1.ResourceList{}
	}
	(*list)[name] = resource.MustParse(fmt.Sprint(n))
}
