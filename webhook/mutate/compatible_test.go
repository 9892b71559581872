package mutate

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
)

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
