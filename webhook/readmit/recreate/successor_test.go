package recreate

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/webhook/readmit/pending"
	"heteroaccel.io/webhook/readmit/podtest"
	"heteroaccel.io/webhook/replacement"
)

// TestSuccessor: the next pod is no ReplicaSet's until it is adopted, and no
// pod that waits.
func TestSuccessor(t *testing.T) {
	old := podtest.Admitted(t, "set-abcde", "r", func(p *corev1.Pod) {
		p.GenerateName, p.Labels = "set-", map[string]string{"app": "a", appsv1.DefaultDeploymentUniqueLabelKey: "hash"}
		p.OwnerReferences = []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "ReplicaSet", Name: "set", UID: "set-uid", Controller: new(true)}}
	})
	w, ok := pending.Of(old, podtest.Keys)
	if !ok || w.Hash != "hash" {
		t.Fatalf("the pod waits: %v, hash %q", ok, w.Hash)
	}
	c := &controller{kind: "ReplicaSet", uid: "set-uid", hash: "hash", template: corev1.PodTemplateSpec{Spec: old.Spec}}
	to := replacement.Succession{SetName: "set", SetUID: "set-uid", Hash: w.Hash, OldName: old.Name, OldUID: old.UID}
	next := c.successor(to, old, podtest.Keys)
	if len(next.Name) != len("set-")+5 || next.GenerateName != "set-" || len(next.OwnerReferences) != 0 {
		t.Errorf("it is named %q of %q and owned by %v", next.Name, next.GenerateName, next.OwnerReferences)
	}
	if again := c.successor(to, old, podtest.Keys); again.Name != next.Name {
		t.Errorf("two leaders create %s and %s in the place of one pod", next.Name, again.Name)
	}
	other := old.DeepCopy()
	other.UID = "another"
	if second := c.successor(to, other, podtest.Keys); second.Name == next.Name {
		t.Error("another pod's has the same name")
	}
	if diff := cmp.Diff(map[string]string{"app": "a", accel.SuccessorLabel: "true"}, next.Labels); diff != "" {
		t.Errorf("labels (-want +got):\n%s", diff)
	}
	if old.Labels[appsv1.DefaultDeploymentUniqueLabelKey] != "hash" {
		t.Error("the pod that waits was changed")
	}
	got, ok := replacement.SuccessionOf(next.Annotations, podtest.Keys, "ns", next.Name)
	if !ok || got != to {
		t.Errorf("it comes in the place of %+v, %v, want %+v", got, ok, to)
	}
	marked := podtest.Admitted(t, next.Name, "r2")
	marked.Annotations[accel.SuccessorAnnotation] = next.Annotations[accel.SuccessorAnnotation]
	if _, waits := pending.Of(marked, podtest.Keys); waits {
		t.Error("it would be recreated itself")
	}
}
