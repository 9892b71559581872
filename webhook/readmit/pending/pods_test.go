package pending

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/webhook/readmit/podtest"
)

// TestTemplates: pods of one template are alike, whatever the API server and the
// controller put into each.
func TestTemplates(t *testing.T) {
	token := func(suffix string) func(*corev1.Pod) {
		return func(p *corev1.Pod) {
			p.Spec.Volumes = []corev1.Volume{{Name: "kube-api-access-" + suffix, VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{}}}}
			p.Spec.Containers[0].VolumeMounts = []corev1.VolumeMount{{Name: "kube-api-access-" + suffix, MountPath: "/var/run/secrets/kubernetes.io/serviceaccount"}}
		}
	}
	b := NewPods(podtest.CurrentKeys)
	b.Set(podtest.Admitted(t, "a", "1", token("abcde")), time.Now())
	b.Set(podtest.Admitted(t, "b", "2", token("fghij")), time.Now())
	if len(b.templates) != 1 {
		t.Errorf("%d templates, want 1", len(b.templates))
	}
	b.Set(podtest.Admitted(t, "c", "3", func(p *corev1.Pod) { p.Spec.NodeSelector = map[string]string{"x": "y"} }), time.Now())
	if len(b.templates) != 2 || len(b.pending) != 3 {
		t.Errorf("%d templates of %d pods, want 2 of 3", len(b.templates), len(b.pending))
	}
	// Quotas distinguish pods by more than that.
	b.Set(podtest.Admitted(t, "d", "4", func(p *corev1.Pod) { p.Spec.PriorityClassName = "urgent" }), time.Now())
	b.Set(podtest.Admitted(t, "e", "5", func(p *corev1.Pod) { p.Spec.ActiveDeadlineSeconds = new(int64(60)) }), time.Now())
	b.Set(podtest.Admitted(t, "a", "6", func(p *corev1.Pod) { p.Namespace = "elsewhere" }), time.Now())
	if len(b.templates) != 5 || len(b.pending) != 6 {
		t.Errorf("%d templates of %d pods, want 5 of 6", len(b.templates), len(b.pending))
	}
	b.Delete(types.NamespacedName{Namespace: "elsewhere", Name: "a"})
	for _, name := range []string{"a", "b", "c", "d", "e", "never seen"} {
		b.Delete(types.NamespacedName{Namespace: "ns", Name: name})
	}
	if len(b.templates)+len(b.pending)+len(b.carriers)+len(b.observed) != 0 {
		t.Errorf("something is left: %+v", b)
	}
}

// TestHasOwnRecord: a record is accepted of one live pod that never carried
// another.
func TestHasOwnRecord(t *testing.T) {
	b := NewPods(podtest.CurrentKeys)
	mine := podtest.Admitted(t, "mine", "r")
	b.Set(mine, time.Now())
	w := b.pending[types.NamespacedName{Namespace: "ns", Name: "mine"}]
	if !b.HasOwnRecord(w) {
		t.Error("a record of its own is not accepted")
	}
	copied := podtest.Admitted(t, "copied", "other")
	b.Set(copied, time.Now())
	copied = copied.DeepCopy()
	for _, name := range []string{accel.ReservationAnnotation, accel.OriginalAnnotation} {
		copied.Annotations[name] = mine.Annotations[name]
	}
	b.Set(copied, time.Now())
	if b.HasOwnRecord(w) {
		t.Error("a record that two pods carry is accepted")
	}
	b.Delete(types.NamespacedName{Namespace: "ns", Name: "mine"})
	if c := b.pending[types.NamespacedName{Namespace: "ns", Name: "copied"}]; c == nil || b.HasOwnRecord(c) {
		t.Error("a record is accepted of a pod that carried another before")
	}
	// A new pod of the name is another pod.
	again := podtest.Admitted(t, "copied", "third")
	again.UID = "new"
	b.Set(again, time.Now())
	if c := b.pending[types.NamespacedName{Namespace: "ns", Name: "copied"}]; !b.HasOwnRecord(c) {
		t.Error("the record of a new pod is not accepted")
	}
}
