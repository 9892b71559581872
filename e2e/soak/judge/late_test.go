package judge

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/profile/v1alpha1"
)

var late = []v1alpha1.Variant{
	{Accelerator: "GPU", Image: "i:gpu", Device: "GPU", DeviceClassName: "gpu.test"},
	{Accelerator: "NPU", Image: "i:npu", Device: "MYRIAD", DeviceClassName: "npu.test"},
}

// latePod is a pod with a claim, and what it says it was given; on a node if that is not "".
func latePod(kind, image, device, node string) *corev1.Pod {
	p := given(kind, image, "$(HETEROACCEL_DEVICE)", node, nil)
	p.UID, p.Annotations[accel.DeviceAnnotation] = "u", device
	p.Spec.ResourceClaims = []corev1.PodResourceClaim{{Name: "heteroaccel", ResourceClaimName: new("c")}}
	return p
}

// claimOf is the claim of latePod for a kind, with a device if that is not "".
func claimOf(owner types.UID, kind, device string) resourcev1.ResourceClaim {
	c := resourcev1.ResourceClaim{
		ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: "c", OwnerReferences: []metav1.OwnerReference{{UID: owner, Controller: new(true)}}},
		Spec: resourcev1.ResourceClaimSpec{Devices: resourcev1.DeviceClaim{Requests: []resourcev1.DeviceRequest{{
			Name: kind, Exactly: &resourcev1.ExactDeviceRequest{DeviceClassName: kind + ".test"},
		}}}},
	}
	if device != "" {
		c.Status.Allocation = &resourcev1.AllocationResult{Devices: resourcev1.DeviceAllocationResult{Results: []resourcev1.DeviceRequestAllocationResult{{
			Request: kind, Driver: "d", Pool: "n", Device: device,
		}}}}
		c.Status.ReservedFor = []resourcev1.ResourceClaimConsumerReference{{Resource: "pods", UID: owner}}
	}
	return c
}

func TestLateDisagrees(t *testing.T) {
	ended := latePod("NPU", "i:npu", "MYRIAD", "n")
	ended.Status.Phase = corev1.PodSucceeded
	early := given("GPU", "i:gpu", "GPU", "n", nil)
	tests := map[string]struct {
		pod    *corev1.Pod
		claims []resourcev1.ResourceClaim
		want   string // "" for none
	}{
		"waits":            {latePod("GPU", "i:gpu", "GPU", ""), []resourcev1.ResourceClaim{claimOf("u", "gpu", "")}, ""},
		"runs":             {latePod("NPU", "i:npu", "MYRIAD", "n"), []resourcev1.ResourceClaim{claimOf("u", "npu", "x")}, ""},
		"ended":            {ended, nil, ""},
		"another's image":  {latePod("GPU", "i:npu", "GPU", ""), []resourcev1.ResourceClaim{claimOf("u", "gpu", "")}, "its image is i:npu"},
		"another's device": {latePod("GPU", "i:gpu", "MYRIAD", ""), []resourcev1.ResourceClaim{claimOf("u", "gpu", "")}, "told \"MYRIAD\""},
		"another's claim":  {latePod("GPU", "i:gpu", "GPU", ""), []resourcev1.ResourceClaim{claimOf("u", "npu", "")}, "asks for npu"},
		"somebody else's":  {latePod("GPU", "i:gpu", "GPU", ""), []resourcev1.ResourceClaim{claimOf("v", "gpu", "")}, "is controlled by"},
		"no claim":         {latePod("GPU", "i:gpu", "GPU", ""), nil, "no claim"},
		"no device":        {latePod("GPU", "i:gpu", "GPU", "n"), []resourcev1.ResourceClaim{claimOf("u", "gpu", "")}, "holds no device"},
		"bound early":      {early, nil, "want its variable"},
		"no such kind":     {latePod("FPGA", "i:gpu", "GPU", ""), nil, "does not have"},
	}
	for name, c := range tests {
		t.Run(name, func(t *testing.T) {
			err := Claims{List: c.claims}.Disagrees(c.pod, "inference", late)
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
}

func TestLateTwice(t *testing.T) {
	shared := claimOf("u", "cpu", "cores")
	shared.Status.Allocation.Devices.Results[0].ShareID = new(types.UID("s"))
	c := Claims{List: []resourcev1.ResourceClaim{claimOf("u", "gpu", "x"), claimOf("v", "gpu", "y"), claimOf("w", "gpu", ""), shared, shared}}
	if found := c.Twice(); found != nil {
		t.Errorf("%v, want none", found)
	}
	c.List = append(c.List, claimOf("w", "gpu", "x"))
	if diff := cmp.Diff([]string{"2 claims have device d/n/x"}, c.Twice()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestLateStuckBeside(t *testing.T) {
	device := func(name, kind string) resourcev1.Device {
		return resourcev1.Device{Name: name, Attributes: map[resourcev1.QualifiedName]resourcev1.DeviceAttribute{accel.AttributeKind: {StringValue: &kind}}}
	}
	tainted := device("z", "npu")
	tainted.Taints = []resourcev1.DeviceTaint{{Key: "unhealthy"}}
	c := Claims{
		List: []resourcev1.ResourceClaim{claimOf("v", "gpu", "x")},
		Slices: []resourcev1.ResourceSlice{{Spec: resourcev1.ResourceSliceSpec{
			Driver: "d", Pool: resourcev1.ResourcePool{Name: "n"}, Devices: []resourcev1.Device{device("x", "gpu"), tainted, device("cores", "cpu")},
		}}},
	}
	pods := []*corev1.Pod{latePod("GPU", "i:gpu", "GPU", ""), latePod("GPU", "i:gpu", "GPU", "n")}
	kinds := func(*corev1.Pod) []accel.Kind { return []accel.Kind{"GPU", "NPU", "CPU"} }
	if stuck := c.StuckBeside(pods, kinds); stuck != nil {
		t.Errorf("%v, want none", stuck)
	}
	c.Slices[0].Spec.Devices[1].Taints = nil
	if stuck := c.StuckBeside(pods, kinds); len(stuck) != 1 || !strings.Contains(stuck[0], "beside the idle device d/n/z") {
		t.Errorf("%v, want the first pod, which may have the NPU", stuck)
	}
}
