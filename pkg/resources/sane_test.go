package resources_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	helper "k8s.io/component-helpers/resource"

	"heteroaccel.io/pkg/resources"
)

// of is a pod with an amount of cpu and of devices, beside a container with one.
func of(amount string) *corev1.Pod {
	q, one := resource.MustParse(amount), resource.MustParse("1")
	list := func(q resource.Quantity) corev1.ResourceRequirements {
		return corev1.ResourceRequirements{
			Requests: corev1.ResourceList{"cpu": q.DeepCopy(), gpu: q.DeepCopy()}, Limits: corev1.ResourceList{"cpu": q.DeepCopy(), gpu: q.DeepCopy()},
		}
	}
	return &corev1.Pod{
		Spec:   corev1.PodSpec{Containers: []corev1.Container{{Name: "a", Resources: list(q)}, {Name: "b", Resources: list(one)}}},
		Status: corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{{Name: "a", AllocatedResources: corev1.ResourceList{"cpu": q.DeepCopy()}}}},
	}
}

// TestExcessive: what the API server accepts is added up at once. With the exponent of
// the last the sum would have a thousand million digits.
func TestExcessive(t *testing.T) {
	for amount, excessive := range map[string]bool{
		"0": false, "500m": false, "1Gi": false, "9E": false, "15Ei": false, "1.5n": false, "1e3": false, "12e-3": false, "1E36": false,
		"1e37": true, "0e1000000000": true, "1E3000000": true, "7e1000000000": true, "-7e1000000000": true,
	} {
		t.Run(amount, func(t *testing.T) {
			pod := of(amount)
			err := resources.Excessive(&pod.Spec)
			if (err != nil) != excessive || err != nil && !strings.Contains(err.Error(), "write one such as") {
				t.Errorf("error %v, want one: %v", err, excessive)
			}
			before, start := pod.DeepCopy(), time.Now()
			sane := resources.Sane(pod)
			if (sane != pod) != excessive {
				t.Errorf("a copy: %v, want %v", sane != pod, excessive)
			}
			got := resources.Of(helper.PodRequests(sane, helper.PodResourcesOptions{UseStatusResources: true}))
			want := resources.Amounts{CPU: resources.Max, Devices: []resources.Devices{{Resource: gpu, Count: resources.Max}}}
			if q := resource.MustParse(amount); q.Sign() <= 0 {
				want = resources.Amounts{CPU: 1000, Devices: []resources.Devices{{Resource: gpu, Count: 1}}}
			}
			if excessive && !got.Equal(want) {
				t.Errorf("adds up to %+v, want %+v", got, want)
			}
			if took := time.Since(start); took > 5*time.Second {
				t.Errorf("took %s", took)
			}
			same := cmp.Comparer(func(a, b resource.Quantity) bool { return a.String() == b.String() })
			if diff := cmp.Diff(before, pod, same); diff != "" {
				t.Errorf("the pod was changed (-before +after):\n%s", diff)
			}
		})
	}
}
