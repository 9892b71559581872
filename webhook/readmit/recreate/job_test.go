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
	// What the revision before keys had ids wrote for this pod.
	former := podtest.Admitted(t, "p", "r")
	metav1.SetMetaDataLabel(&former.ObjectMeta, accel.ReleasedLabel, "4515728bf33555fe8c4b5ce4c08719c3")
	copied := podtest.Admitted(t, "another", "r")
	copied.Labels = former.Labels
	for name, tt := range map[string]struct {
		pod  *corev1.Pod
		keys *record.Keys
		want bool
	}{
		"before": {pod, podtest.Keys, true}, "after": {pod, record.NewKeys(next, []byte(strings.Repeat("k", 32))), true},
		"lost": {pod, record.NewKeys(next), false}, "none": {pod, nil, false},
		"before keys had ids":   {former, podtest.Keys, true},
		"that, after":           {former, record.NewKeys(next, []byte(strings.Repeat("k", 32))), true},
		"that, lost":            {former, record.NewKeys(next), false},
		"that, on another pod":  {copied, podtest.Keys, false},
		"that, without its key": {former, nil, false},
	} {
		if got := released(tt.pod, tt.keys); got != tt.want {
			t.Errorf("%s: %v, want %v", name, got, tt.want)
		}
	}
}
