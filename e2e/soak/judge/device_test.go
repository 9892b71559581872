package judge

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/profile/v1alpha1"
)

const gpu, stick = "gpu.intel.com/i915", "vpu.intel.com/hddl"

var two = []v1alpha1.Variant{
	{Accelerator: "GPU", Image: "i:gpu", Device: "GPU", Limits: list(gpu, "1")},
	{Accelerator: "NPU", Image: "i:npu", Device: "MYRIAD", Limits: list(stick, "1")},
	{Accelerator: "CPU", Image: "i:cpu", Device: "CPU", Limits: list("cpu", "2")},
}

func list(name corev1.ResourceName, amount string) corev1.ResourceList {
	return corev1.ResourceList{name: resource.MustParse(amount)}
}

// given is a pod that was given a kind, on a node.
func given(kind, image, flag, node string, limits corev1.ResourceList) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: "p", Annotations: map[string]string{accel.SelectedAnnotation: kind}},
		Spec: corev1.PodSpec{NodeName: node, Containers: []corev1.Container{{
			Name: "inference", Image: image, Command: []string{"bash", "-c", "./run -d " + flag + " && sleep 1"},
			Resources: corev1.ResourceRequirements{Limits: limits},
		}}},
	}
}

func TestDisagrees(t *testing.T) {
	tests := map[string]struct {
		pod  *corev1.Pod
		says string
	}{
		"agrees":            {given("GPU", "i:gpu", "GPU", "", list(gpu, "1")), ""},
		"a CPU":             {given("CPU", "i:cpu", "CPU", "", list("cpu", "2")), ""},
		"another image":     {given("NPU", "i:gpu", "MYRIAD", "", list(stick, "1")), "its image is i:gpu, want i:npu"},
		"another flag":      {given("NPU", "i:npu", "GPU", "", list(stick, "1")), `has -d ["GPU"], want "MYRIAD"`},
		"another device":    {given("GPU", "i:gpu", "GPU", "", list(stick, "1")), "limited to 1 of vpu.intel.com/hddl, want 0"},
		"no device":         {given("GPU", "i:gpu", "GPU", "", nil), "has none of its 1 of gpu.intel.com/i915"},
		"a kind of nowhere": {given("TPU", "i:gpu", "GPU", "", nil), "which its profile does not have"},
	}
	for name, c := range tests {
		t.Run(name, func(t *testing.T) {
			err := Disagrees(c.pod, "inference", two)
			if (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
				t.Errorf("it says %v, want %q", err, c.says)
			}
		})
	}
}

func node(name string, amounts ...corev1.ResourceList) corev1.Node {
	n := corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}, Status: corev1.NodeStatus{Capacity: corev1.ResourceList{}}}
	for _, a := range amounts {
		for k, v := range a {
			n.Status.Capacity[k] = v
		}
	}
	n.Status.Allocatable = n.Status.Capacity
	return n
}

func TestTwice(t *testing.T) {
	nodes := []corev1.Node{node("n", list(gpu, "1"), list(stick, "2"))}
	one := given("GPU", "", "", "n", list(gpu, "1"))
	ended := one.DeepCopy()
	ended.Status.Phase = corev1.PodSucceeded
	tests := map[string]struct {
		pods []*corev1.Pod
		want []string
	}{
		"one each":          {[]*corev1.Pod{one, given("NPU", "", "", "n", list(stick, "2"))}, nil},
		"two for one":       {[]*corev1.Pod{one, one}, []string{"pods of node n hold 2 of its 1 gpu.intel.com/i915"}},
		"one that has gone": {[]*corev1.Pod{one, ended}, nil},
		"one that waits":    {[]*corev1.Pod{one, given("GPU", "", "", "", list(gpu, "1"))}, nil},
	}
	for name, c := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, Twice(nodes, c.pods)); diff != "" {
				t.Errorf("given twice (-want +got):\n%s", diff)
			}
		})
	}
}

func TestStuckBeside(t *testing.T) {
	nodes := []corev1.Node{node("n", list(gpu, "1"), list(stick, "1"))}
	waits := given("GPU", "", "", "", list(gpu, "1"))
	holds := given("GPU", "", "", "n", list(gpu, "1"))
	both := []*corev1.Pod{waits, holds, given("NPU", "", "", "n", list(stick, "1"))}
	closed := slices.Clone(nodes)
	closed[0].Spec.Unschedulable = true
	tests := map[string]struct {
		pods  []*corev1.Pod
		kinds []accel.Kind
		nodes []corev1.Node
		want  int
	}{
		"another kind is idle":     {[]*corev1.Pod{waits, holds}, []accel.Kind{"GPU", "NPU"}, nodes, 1},
		"one that it may not have": {[]*corev1.Pod{waits, holds}, []accel.Kind{"GPU"}, nodes, 0},
		"its own is idle":          {[]*corev1.Pod{waits}, []accel.Kind{"GPU"}, nodes, 1},
		"nothing is idle":          {both, []accel.Kind{"GPU", "NPU"}, nodes, 0},
		"a cordoned node":          {[]*corev1.Pod{waits, holds}, []accel.Kind{"GPU", "NPU"}, closed, 0},
	}
	for name, c := range tests {
		t.Run(name, func(t *testing.T) {
			got := StuckBeside(c.pods, func(*corev1.Pod) []accel.Kind { return c.kinds }, two, c.nodes)
			if len(got) != c.want {
				t.Errorf("stuck: %v, want %d", got, c.want)
			}
		})
	}
}
