package server

import (
	"net/http"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// TestExcessiveAmounts: a pod of a kilobyte with an amount such as 1e3000000, which
// the API server decodes at once, is refused at once. It took ten seconds, and ten
// times the exponent a hundred times as long.
func TestExcessiveAmounts(t *testing.T) {
	r := newRig(t).paper()
	for name, change := range map[string]func(p *corev1.Pod, list corev1.ResourceList){
		"limit":          func(p *corev1.Pod, list corev1.ResourceList) { p.Spec.Containers[0].Resources.Limits = list },
		"sidecar":        func(p *corev1.Pod, list corev1.ResourceList) { p.Spec.Containers[1].Resources.Requests = list },
		"init container": func(p *corev1.Pod, list corev1.ResourceList) { p.Spec.InitContainers[0].Resources.Limits = list },
		"of the whole pod": func(p *corev1.Pod, list corev1.ResourceList) {
			p.Spec.Resources = &corev1.ResourceRequirements{Requests: list}
		},
		"overhead": func(p *corev1.Pod, list corev1.ResourceList) { p.Spec.Overhead = list },
	} {
		t.Run(name, func(t *testing.T) {
			p := pod("camera", "face-recognition", "any", func(p *corev1.Pod) {
				one := corev1.ResourceRequirements{Limits: corev1.ResourceList{"memory": resource.MustParse("1")}}
				p.Spec.Containers = append(p.Spec.Containers, corev1.Container{Name: "sidecar", Image: "b", Resources: one})
				p.Spec.InitContainers = []corev1.Container{{Name: "first", Image: "b", Resources: one}}
			})
			change(p, corev1.ResourceList{"memory": resource.MustParse("1e20000000")})
			body := reviewOf(t, p)
			start := time.Now()
			status, answer := r.post(t, body)
			if took := time.Since(start); took > 5*time.Second {
				t.Errorf("took %s", took)
			}
			if status != http.StatusOK || !strings.Contains(answer, "has an exponent above") {
				t.Errorf("status %d: %s", status, answer)
			}
		})
	}
}
