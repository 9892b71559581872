package recreate

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/webhook/readmit/podtest"
)

func TestReleasePatch(t *testing.T) {
	pod := podtest.Admitted(t, "p", "r", podtest.OfJob, func(p *corev1.Pod) {
		p.OwnerReferences = append(p.OwnerReferences, metav1.OwnerReference{APIVersion: "v1", Kind: "ConfigMap", Name: "c", UID: "c"})
	})
	patch, err := json.Marshal(releasePatch(pod, podtest.Key))
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
			accel.ReleasedLabel: releaseCode(pod, podtest.Key),
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if releaseCode(pod, podtest.Key) == releaseCode(podtest.Admitted(t, "q", "r"), podtest.Key) {
		t.Error("two pods have the same code")
	}
}
