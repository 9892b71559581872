package server

import (
	"strings"
	"testing"

	admissionv1 "k8s.io/api/admission/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/inventory"
	"heteroaccel.io/pkg/resources"
	"heteroaccel.io/webhook/replacement"
)

// TestRecreated admits a pod in the place of one that waited: it gets what was
// held for it, its count is written and survives a second call, and what
// somebody wrote into the annotation counts for nothing. A dry run before it
// finds the same, and takes nothing.
func TestRecreated(t *testing.T) {
	asked := 0
	r := newRig(t, func(c *Config) {
		c.Authenticated = true
		c.Replaces = func(namespace string, owner types.UID, name, reservation string, _ inventory.Trust) (replacement.Expected, bool) {
			if reservation != "" {
				asked++
			}
			if asked > 1 || namespace != "default" || owner != "rs" {
				return replacement.Expected{}, false
			}
			return replacement.Expected{Reservation: "hold", Count: 2, From: "NPU"}, true
		}
	}).paper()
	r.inv.Decide(inventory.Query{
		Namespace: "default", Reservation: "hold",
		Options: []inventory.Option{{Kind: "GPU", Needs: resources.Amounts{Devices: []resources.Devices{{Resource: gpu, Count: 1}}}}},
	}, func([]inventory.Candidate) int { return 0 })
	p := pod("", "face-recognition", "gpu,npu", func(p *corev1.Pod) {
		p.GenerateName = "x-"
		p.OwnerReferences = []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "ReplicaSet", Name: "x", UID: "rs", Controller: new(true)}}
		p.Annotations[accel.ReadmissionsAnnotation] = "77"
	})
	dry := true
	if d, _ := r.admit(t, p, func(q *admissionv1.AdmissionRequest) { q.DryRun = &dry }); selected(d) != "GPU" || asked != 0 || r.inv.Reservations() != 1 {
		t.Errorf("a dry run got %s and matched %d expectations, %d reservations are left; want GPU, none and one", selected(d), asked, r.inv.Reservations())
	}
	first, _ := r.admit(t, p)
	if selected(first) != "GPU" || first.Annotations[accel.ReadmissionsAnnotation] != "2" {
		t.Errorf("got %s, recreated %s times, want the GPU that was held for it, 2", selected(first), first.Annotations[accel.ReadmissionsAnnotation])
	}
	if why := first.Annotations[accel.ReasonAnnotation]; !strings.HasPrefix(why, "it waited for NPU before: GPU is free (1 of 1)") {
		t.Errorf("the reason is %q", why)
	}
	if n := r.inv.Reservations(); n != 1 {
		t.Errorf("%d reservations, want its own alone", n)
	}
	second, _ := r.admit(t, first)
	if second.Annotations[accel.ReadmissionsAnnotation] != "2" || selected(second) != "GPU" {
		t.Errorf("a second call made it %s, %s times", selected(second), second.Annotations[accel.ReadmissionsAnnotation])
	}
	other, _ := r.admit(t, pod("other", "face-recognition", "any", func(p *corev1.Pod) { p.Annotations[accel.ReadmissionsAnnotation] = "3" }))
	if n, written := other.Annotations[accel.ReadmissionsAnnotation]; written {
		t.Errorf("a pod that is new says that it was recreated %s times", n)
	}
}
