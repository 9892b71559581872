package server

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	admissionv1 "k8s.io/api/admission/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/journal"
)

// TestTell: each decision is told once, by the names that the pod has by then, and one of
// a dry run, or about a pod that did not ask us, is not.
func TestTell(t *testing.T) {
	var told []journal.Entry
	r := newRig(t, func(c *Config) { c.Decided = func(e journal.Entry) { told = append(told, e) } }).paper()
	owned := func(p *corev1.Pod) {
		p.Name, p.GenerateName = "", "cam-"
		p.OwnerReferences = []metav1.OwnerReference{{Kind: "Job", Name: "cam", UID: "7", Controller: new(true)}, {Kind: "Pod", Name: "other", UID: "8"}}
	}
	first, _ := r.admit(t, pod("a", "face-recognition", "gpu"))
	r.admit(t, first) // as the API server does if another webhook changed it
	r.admit(t, pod("b", "face-recognition", "gpu", owned))
	r.admit(t, pod("c", "face-recognition", "gpu"), func(r *admissionv1.AdmissionRequest) { r.DryRun = new(true) })
	r.admit(t, pod("d", "face-recognition", "gpu", func(p *corev1.Pod) { p.Annotations = nil }))
	r.admit(t, pod("e", "no-such-inference", "gpu"))
	r.admit(t, pod("f", "face-recognition", "gpu", func(p *corev1.Pod) { p.Annotations[accel.ContainerAnnotation] = "absent" }))
	want := []journal.Entry{
		{What: journal.Chosen, Namespace: "default", Pod: "a", Inference: "face-recognition", Kind: "GPU", Reason: "GPU is free (1 of 1)"},
		{What: journal.Waits, Namespace: "default", GenerateName: "cam-", Owner: "Job/cam", Inference: "face-recognition", Kind: "GPU", Reason: "waits for GPU (0 of 1 free, 1 pod before it)"},
		{What: journal.Denied, Namespace: "default", Pod: "e", Inference: "no-such-inference", Reason: "face-recognition"},
		{What: journal.Denied, Namespace: "default", Pod: "f", Inference: "face-recognition", Reason: "absent"},
	}
	beginning := cmp.Comparer(func(a, b string) bool { return strings.Contains(a, b) || strings.Contains(b, a) })
	if diff := cmp.Diff(want, told, cmp.FilterPath(func(p cmp.Path) bool { return p.Last().String() == ".Reason" }, beginning),
		cmpopts.IgnoreFields(journal.Entry{}, "Reservation", "Micros")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, e := range told[:2] {
		if e.Reservation == "" || e.Micros <= 0 {
			t.Errorf("no reservation, or no time: %+v", e)
		}
	}
}
