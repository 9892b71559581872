package accel

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// TestDeviceResources: of limits those that a device plugin serves.
func TestDeviceResources(t *testing.T) {
	one := resource.MustParse("1")
	got := DeviceResources(corev1.ResourceList{
		"npu.intel.com/accel": one, "gpu.intel.com/i915": one, corev1.ResourceCPU: one,
		"hugepages-2Mi": one, "kubernetes.io/batch-cpu": one, "requests.gpu.intel.com/i915": one,
	})
	if diff := cmp.Diff([]string{"gpu.intel.com/i915", "npu.intel.com/accel"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
