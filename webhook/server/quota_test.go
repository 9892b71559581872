package server

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/quota"
)

// allows sets how many GPUs the quota of the namespace default allows, and has
// counted.
func (r *rig) allows(hard, used string) {
	const requests = "requests." + gpu
	r.inv.SetQuota(quota.Of(&corev1.ResourceQuota{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "gpus"},
		Status: corev1.ResourceQuotaStatus{
			Hard: corev1.ResourceList{requests: resource.MustParse(hard)},
			Used: corev1.ResourceList{requests: resource.MustParse(used)},
		},
	}))
}

// TestOverQuota: a kind that the namespace's quota has no room for is left to
// others; when there is no other kind the API server has the last word, and
// nothing is reserved.
func TestOverQuota(t *testing.T) {
	r := newRig(t)
	r.node("g", gpu, 4)
	r.node("n", npu, 1)
	r.allows("1", "0")
	first, resp := r.admit(t, pod("first", "face-recognition", "gpu,npu"))
	if selected(first) != "GPU" || len(resp.Warnings) > 0 {
		t.Errorf("the first got %s, warned %q", selected(first), resp.Warnings)
	}
	again, _ := r.admit(t, first) // which counts once
	if selected(again) != "GPU" {
		t.Errorf("a second call made it %s", selected(again))
	}
	second, _ := r.admit(t, pod("second", "face-recognition", "gpu,npu"))
	if selected(second) != "NPU" {
		t.Errorf("the second got %s, want NPU", selected(second))
	}
	want := "NPU is free (1 of 1), a run takes 146ms; no GPU (quota gpus has 0 of 1 requests.gpu.intel.com/i915 left)"
	if why := second.Annotations[accel.ReasonAnnotation]; why != want {
		t.Errorf("the reason is\n%s\nwant\n%s", why, want)
	}
	before := r.inv.Reservations()
	third, resp := r.admit(t, pod("third", "face-recognition", "gpu"))
	want = "the quotas of its namespace allow no kind: no GPU (quota gpus has 0 of 1 requests.gpu.intel.com/i915 left)"
	if selected(third) != "GPU" || !cmp.Equal(resp.Warnings, []string{want}) {
		t.Errorf("the third got %s, warned %q, want %q", selected(third), resp.Warnings, want)
	}
	if n := r.inv.Reservations(); n != before {
		t.Errorf("%d reservations, want %d as before", n, before)
	}
	r.allows("2", "1")
	if p, _ := r.admit(t, pod("third", "face-recognition", "gpu")); strings.Contains(p.Annotations[accel.ReasonAnnotation], "quota") {
		t.Errorf("with the quota raised: %s", p.Annotations[accel.ReasonAnnotation])
	}
}

// TestQuotaOfLimits: a quota that demands a CPU limit leaves only the kind whose
// variant sets one.
func TestQuotaOfLimits(t *testing.T) {
	r := newRig(t).paper()
	r.inv.SetQuota(quota.Of(&corev1.ResourceQuota{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "compute"},
		Status:     corev1.ResourceQuotaStatus{Hard: corev1.ResourceList{"limits.cpu": resource.MustParse("2")}},
	}))
	p, _ := r.admit(t, pod("p", "face-recognition", "any"))
	if why := p.Annotations[accel.ReasonAnnotation]; selected(p) != "CPU" || !strings.Contains(why, "no GPU (quota compute demands that every container sets limits.cpu)") {
		t.Errorf("got %s: %s", selected(p), why)
	}
	next, _ := r.admit(t, pod("q", "face-recognition", "any"))
	if why := next.Annotations[accel.ReasonAnnotation]; !strings.Contains(why, "no CPU (quota compute has 0 of 2 limits.cpu left)") {
		t.Errorf("the next got %s: %s", selected(next), why)
	}
}
