package resources_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"heteroaccel.io/pkg/resources"
)

const (
	gpu = "gpu.intel.com/i915"
	npu = "npu.intel.com/accel"
)

func TestOf(t *testing.T) {
	tests := map[string]struct {
		list corev1.ResourceList
		want resources.Amounts
	}{
		"nothing": {nil, resources.Amounts{}},
		"in order": {
			corev1.ResourceList{npu: resource.MustParse("1"), gpu: resource.MustParse("2"), "cpu": resource.MustParse("1500m")},
			resources.Amounts{CPU: 1500, Devices: []resources.Devices{{Resource: gpu, Count: 2}, {Resource: npu, Count: 1}}},
		},
		"zero and negative": {
			corev1.ResourceList{npu: resource.MustParse("0"), gpu: resource.MustParse("-1"), "cpu": resource.MustParse("-1")},
			resources.Amounts{},
		},
		"a fraction is rounded up": {
			corev1.ResourceList{gpu: resource.MustParse("0.5")},
			resources.Amounts{Devices: []resources.Devices{{Resource: gpu, Count: 1}}},
		},
		"absurd": {
			corev1.ResourceList{gpu: resource.MustParse("9E"), "memory": resource.MustParse("9E"), "cpu": resource.MustParse("9E")},
			resources.Amounts{CPU: resources.Max, Memory: resources.Max, Devices: []resources.Devices{{Resource: gpu, Count: resources.Max}}},
		},
		"not devices": {
			corev1.ResourceList{"hugepages-2Mi": resource.MustParse("1"), "ephemeral-storage": resource.MustParse("5")},
			resources.Amounts{Storage: 5},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, resources.Of(tt.list)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
