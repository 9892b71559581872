package recreate

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/record"
	"heteroaccel.io/webhook/readmit/pending"
	"heteroaccel.io/webhook/readmit/podapi"
	"heteroaccel.io/webhook/readmit/podtest"
)

// TestManifest: what a bare pod is created from is what its user created,
// fields unknown to us included; and a record copied from another pod gives
// none.
func TestManifest(t *testing.T) {
	r := New(Config{Keys: podtest.CurrentKeys, Options: podtest.Source(t)})
	raw := func(pod *corev1.Pod) []byte {
		content, err := json.Marshal(pod)
		if err != nil {
			t.Fatal(err)
		}
		var fields map[string]any
		if err := json.Unmarshal(content, &fields); err != nil {
			t.Fatal(err)
		}
		fields["spec"].(map[string]any)["newerThanUs"] = "kept"
		if content, err = json.Marshal(fields); err != nil {
			t.Fatal(err)
		}
		return content
	}
	pod := podtest.Admitted(t, "p", "r")
	pod.Annotations[accel.RetryAnnotation] = "now"
	pod.Status.Phase = corev1.PodPending
	manifest, err := r.manifest(raw(pod), pod)
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(manifest, &got); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"apiVersion": "v1", "kind": "Pod",
		"metadata": map[string]any{
			"name": "p", "namespace": "ns",
			"annotations": map[string]any{accel.InferenceAnnotation: "face", accel.AcceleratorAnnotation: "any"},
		},
		"spec": map[string]any{
			"newerThanUs": "kept",
			"containers": []any{map[string]any{
				"name": "main", "image": "mine", "args": []any{"-d", "CPU"}, "resources": map[string]any{},
				"env": []any{map[string]any{"name": "PASSWORD", "value": "secret"}},
			}},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}

	for name, change := range map[string]func(*corev1.Pod){
		"another image now": func(p *corev1.Pod) { p.Spec.Containers[0].Image = "other" },
		"a copied record": func(p *corev1.Pod) {
			evil := podtest.Admitted(t, "evil", "e", func(p *corev1.Pod) { p.Spec.Containers[0].Args = []string{"-d", "CPU", "--evil"} })
			for _, name := range []string{accel.ReservationAnnotation, accel.OriginalAnnotation} {
				p.Annotations[name] = evil.Annotations[name]
			}
		},
		"a variable from a Secret": func(p *corev1.Pod) {
			was := podtest.Admitted(t, "p", "r", fromSecret(accel.DeviceEnv))
			p.Annotations, p.Spec = was.Annotations, was.Spec
		},
		"another kind claimed": func(p *corev1.Pod) { p.Annotations[accel.SelectedAnnotation] = "NPU" },
	} {
		t.Run(name, func(t *testing.T) {
			pod := podtest.Admitted(t, "p", "r")
			change(pod)
			if manifest, err := r.manifest(raw(pod), pod); !podapi.Rejected(err) {
				t.Errorf("got %s, %v, want a rejection", manifest, err)
			}
		})
	}
}

// fromSecret lets a variable read a Secret.
func fromSecret(name string) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		ref := &corev1.SecretKeySelector{LocalObjectReference: corev1.LocalObjectReference{Name: "database"}, Key: "password"}
		p.Spec.Containers[0].Env = append(p.Spec.Containers[0].Env, corev1.EnvVar{Name: name, ValueFrom: &corev1.EnvVarSource{SecretKeyRef: ref}})
	}
}

// TestSecretsThatStay: a Secret that the live pod reads may be restored to
// another of its variables.
func TestSecretsThatStay(t *testing.T) {
	r := New(Config{Keys: podtest.CurrentKeys, Options: podtest.Source(t)})
	pod := podtest.Admitted(t, "p", "r", fromSecret("PASSWORD_2"), fromSecret(accel.DeviceEnv))
	got := restored(t, r, pod)
	env := got.Spec.Containers[0].Env
	if len(env) != 3 || env[2].ValueFrom == nil {
		t.Errorf("its variables are %v", env)
	}
}

// restored is the pod that a pod would be created again as.
func restored(t *testing.T, r *Recreator, pod *corev1.Pod) (got corev1.Pod) {
	t.Helper()
	content, err := json.Marshal(pod)
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := r.manifest(content, pod)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(manifest, &got); err != nil {
		t.Fatal(err)
	}
	return got
}

// TestManifestNamesContainer: what is recreated has no record that names
// its container.
func TestManifestNamesContainer(t *testing.T) {
	r := New(Config{Keys: podtest.CurrentKeys, Options: podtest.Source(t)})
	for name, c := range map[string]struct {
		words    []string
		injected bool
		want     string
	}{
		"alone":                   {words: []string{"-m", "x"}},
		"beside another":          {words: []string{"-m", "x"}, injected: true, want: "main"},
		"known by its flag still": {words: []string{"-d", "CPU"}, injected: true},
	} {
		t.Run(name, func(t *testing.T) {
			pod := podtest.Admitted(t, "p", "r", func(p *corev1.Pod) { p.Spec.Containers[0].Args = c.words })
			if c.injected {
				pod.Spec.Containers = append([]corev1.Container{{Name: "mesh", Image: "mesh"}}, pod.Spec.Containers...)
			}
			got := restored(t, r, pod)
			if name := got.Annotations[accel.ContainerAnnotation]; name != c.want {
				t.Errorf("the annotation names %q, want %q", name, c.want)
			}
			req, _, err := accel.ParseRequest(got.Annotations)
			if err != nil {
				t.Fatal(err)
			}
			in, _, err := r.Options.Of("ns", pending.AsMutated(&got), req)
			if err != nil || got.Spec.Containers[in.Target.Index].Name != "main" {
				t.Errorf("recreated it would be %+v, %v", in.Target, err)
			}
		})
	}
}

// TestManifestAfterRotation: a bare pod whose record is of an earlier key is created
// from the same manifest, and one whose key is lost is left alone.
func TestManifestAfterRotation(t *testing.T) {
	pod := podtest.Admitted(t, "p", "r")
	raw, err := json.Marshal(pod)
	if err != nil {
		t.Fatal(err)
	}
	before, err := New(Config{Keys: podtest.CurrentKeys, Options: podtest.Source(t)}).manifest(raw, pod)
	if err != nil {
		t.Fatal(err)
	}
	next := bytes.Repeat([]byte{1}, 32)
	rotated := record.NewKeys(next, []byte(strings.Repeat("k", 32)))
	after, err := New(Config{Keys: func() *record.Keys { return rotated }, Options: podtest.Source(t)}).manifest(raw, pod)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(before), string(after)); diff != "" {
		t.Errorf("manifest (-before +after the rotation):\n%s", diff)
	}
	content, _ := record.Unseal(pod.Annotations[accel.OriginalAnnotation], podtest.Keys, "ns", "r")
	h := hmac.New(sha256.New, []byte(strings.Repeat("k", 32)))
	for _, part := range []string{"heteroaccel.io/original.v2", "ns", "r", content} { // as before keys had ids
		record.WritePart(h, part)
	}
	former := pod.DeepCopy()
	former.Annotations[accel.OriginalAnnotation] = base64.RawURLEncoding.EncodeToString(h.Sum(nil)) + " " + content
	rawFormer, err := json.Marshal(former)
	if err != nil {
		t.Fatal(err)
	}
	if after, err = New(Config{Keys: func() *record.Keys { return rotated }, Options: podtest.Source(t)}).manifest(rawFormer, former); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(before), string(after)); diff != "" {
		t.Errorf("manifest of a former record (-want +got):\n%s", diff)
	}
	lost := func() *record.Keys { return record.NewKeys(next) }
	if got, err := New(Config{Keys: lost, Options: podtest.Source(t)}).manifest(raw, pod); !errors.Is(err, podapi.ErrChanged) {
		t.Errorf("without its key: %s, %v, want ErrChanged", got, err)
	}
}
