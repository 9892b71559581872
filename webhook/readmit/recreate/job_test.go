package recreate

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/record"
	"heteroaccel.io/webhook/readmit/podtest"
)

func TestReleasePatch(t *testing.T) {
	pod := podtest.Admitted(t, "p", "r", podtest.OfJob, func(p *corev1.Pod) {
		p.OwnerReferences = append(p.OwnerReferences, metav1.OwnerReference{APIVersion: "v1", Kind: "ConfigMap", Name: "c", UID: "c"})
	})
	patch, err := json.Marshal(releasePatch(pod, podtest.Keys))
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(patch, &got); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"finalizers":      []any{},
		"ownerReferences": []any{map[string]any{"apiVersion": "v1", "kind": "ConfigMap", "name": "c", "uid": "c"}},
		"labels": map[string]any{
			"batch.kubernetes.io/controller-uid": nil, "controller-uid": nil, "batch.kubernetes.io/job-name": nil, "job-name": nil,
			accel.ReleasedLabel: releaseMarks(pod, podtest.Keys)[0],
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if releaseMarks(pod, podtest.Keys)[0] == releaseMarks(podtest.Admitted(t, "q", "r"), podtest.Keys)[0] {
		t.Error("two pods have the same code")
	}
}

// TestReleasedWithEarlierKey: the sweep finishes what was begun before a rotation, and
// a label cannot begin or end with what base64 may.
func TestReleasedWithEarlierKey(t *testing.T) {
	pod := podtest.Admitted(t, "p", "r")
	label := releaseMarks(pod, podtest.Keys)[0]
	if msgs := validation.IsValidLabelValue(label); len(msgs) > 0 {
		t.Errorf("label %q: %v", label, msgs)
	}
	metav1.SetMetaDataLabel(&pod.ObjectMeta, accel.ReleasedLabel, label)
	next := bytes.Repeat([]byte{1}, 32)
	for name, tt := range map[string]struct {
		keys *record.Keys
		want bool
	}{
		"before": {podtest.Keys, true}, "after": {record.NewKeys(next, []byte(strings.Repeat("k", 32))), true},
		"lost": {record.NewKeys(next), false}, "none": {nil, false},
	} {
		if got := released(pod, tt.keys); got != tt.want {
			t.Errorf("%s: %v, want %v", name, got, tt.want)
		}
	}
}
