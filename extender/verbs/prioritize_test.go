package verbs

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	extenderv1 "k8s.io/kube-scheduler/extender/v1"

	"heteroaccel.io/extender/extendertest"
)

// TestPrioritizePreferred: what a pod prefers comes with the request, whether or
// not the informer has shown the pod; pinned pods are no different.
func TestPrioritizePreferred(t *testing.T) {
	r := newRig(t, extendertest.Fixed)
	for name, count := range map[string]string{"large": "4", "near": "1"} {
		r.SetNode(name, nil, gpu, count)
		r.Scrape(name, time.Second)
	}
	prefersNear := func(p *corev1.Pod) {
		p.Spec.Affinity = &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{
			PreferredDuringSchedulingIgnoredDuringExecution: []corev1.PreferredSchedulingTerm{{Weight: 100, Preference: corev1.NodeSelectorTerm{
				MatchFields: []corev1.NodeSelectorRequirement{{Key: "metadata.name", Operator: corev1.NodeSelectorOpIn, Values: []string{"near"}}},
			}}},
		}}
	}
	known := extendertest.Managed("known", "", "GPU", prefersNear, gpu, "1")
	r.SetPod(known)
	pinned := extendertest.Pinned("pinned", gpu, "1")
	prefersNear(pinned)
	for name, tt := range map[string]struct {
		pod         *corev1.Pod
		large, near int64
	}{
		"without a preference": {extendertest.Managed("a", "", "GPU", nil, gpu, "1"), 9, 6}, // 4 + round(4·¾ + 1½), 4 + round(1½)
		"not shown yet":        {extendertest.Managed("b", "", "GPU", prefersNear, gpu, "1"), 9, 9},
		"shown":                {known, 9, 9}, // 7 + round(2·4½/6), 7 + round(1 + 2·1½/6)
		"pinned":               {pinned, 9, 9},
	} {
		t.Run(name, func(t *testing.T) {
			var got extenderv1.HostPriorityList
			names := []string{"large", "near"}
			r.post(t, "/scheduler/prioritize", extenderv1.ExtenderArgs{Pod: tt.pod, NodeNames: &names}, &got)
			var want extenderv1.HostPriorityList
			switch d := tt.large - tt.near; {
			case d > 0:
				want = extenderv1.HostPriorityList{{Host: "large", Score: d}}
			case d < 0:
				want = extenderv1.HostPriorityList{{Host: "near", Score: -d}}
			default:
				want = extenderv1.HostPriorityList{} // neither is better
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("scores (-want +got):\n%s", diff)
			}
		})
	}
}
