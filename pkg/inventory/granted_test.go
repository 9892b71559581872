package inventory

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/resources"
)

// TestGranted follows a pod and its claim through the orders in which their feeds can
// show them: what the pod's record says of its device as it ends.
func TestGranted(t *testing.T) {
	set := func(options ...podOption) func(*world) {
		return func(w *world) { w.SetPod(aPod("p", append(options, late("GPU", "ha-p"))...)) }
	}
	pending, bound, ended := set(), set(on("n")), set(on("n"), ended(corev1.PodSucceeded, 0, time.Second))
	allocate := func(change ...func(*Allocation)) func(*world) {
		return func(w *world) {
			a := allocated("p")
			for _, c := range change {
				c(&a)
			}
			w.SetAllocation(a)
		}
	}
	deallocate := func(w *world) { w.DeleteAllocation("default", "ha-p") }
	// The device's slice is not known, or its node is gone.
	lost := allocate(func(a *Allocation) { a.Node, a.Holds = "", resources.Amounts{} })
	tests := map[string]struct {
		steps []func(*world)
		want  string // node
	}{
		"the claim is shown first":         {[]func(*world){pending, allocate(), bound, ended}, "n"},
		"the pod is shown first":           {[]func(*world){pending, bound, allocate(), ended}, "n"},
		"deallocated before the end":       {[]func(*world){pending, allocate(), bound, deallocate, ended}, "n"},
		"bound when it is shown first":     {[]func(*world){bound, allocate(), deallocate, ended}, "n"},
		"its device is not known any more": {[]func(*world){pending, allocate(), bound, lost, ended}, "n"},
		"its device is known later":        {[]func(*world){pending, lost, bound, allocate(), ended}, "n"},
		"elsewhere":                        {[]func(*world){pending, allocate(func(a *Allocation) { a.Node = "m" }), bound, ended}, "m"},
		"never allocated":                  {[]func(*world){pending, bound, ended}, ""},
		"allocated before it was bound":    {[]func(*world){pending, allocate(), deallocate, bound, ended}, ""},
		"for another pod of the name":      {[]func(*world){pending, allocate(func(a *Allocation) { a.UID = "another" }), bound, ended}, ""},
		"shared with another pod":          {[]func(*world){pending, allocate(func(a *Allocation) { a.Pod, a.UID = "", "" }), bound, ended}, ""},
		"another claim of the pod's":       {[]func(*world){pending, allocate(func(a *Allocation) { a.Name = "own" }), bound, ended}, ""},
		"of a pod before it": {[]func(*world){allocate(), bound, func(w *world) {
			deallocate(w)
			w.SetPod(aPod("p", on("n"), late("GPU", "ha-p"), func(p *corev1.Pod) { p.UID = "next" }))
		}}, ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			w := lateWorld()
			for _, do := range tt.steps {
				do(w)
			}
			devices, node := w.Pod("default", "p").Granted()
			count := int64(0)
			if tt.want != "" {
				count = 1
			}
			if node != tt.want || devices.Device(gpuClass) != count {
				t.Errorf("it had %v of %q, want one GPU of %q", devices, node, tt.want)
			}
		})
	}
}

// TestAMoveIsNoAlteration: a pod that is bound late gets another image and device as long
// as it is not bound.
func TestAMoveIsNoAlteration(t *testing.T) {
	program := func(image, device string) podOption {
		return func(p *corev1.Pod) {
			p.Spec.Containers[0].Image = image
			p.Spec.Containers[0].Env = []corev1.EnvVar{{Name: accel.DeviceEnv, ValueFrom: &corev1.EnvVarSource{
				FieldRef: &corev1.ObjectFieldSelector{FieldPath: accel.DeviceFieldPath},
			}}}
			p.Annotations[accel.DeviceAnnotation] = device
		}
	}
	pending, waits := program("npu", "NPU"), program("gpu", "GPU")
	bound := func(image, device string) podOption {
		return func(p *corev1.Pod) { program(image, device)(p); p.Spec.NodeName = "n" }
	}
	for name, tt := range map[string]struct {
		seen []podOption
		want bool
	}{
		"moved while it waits":      {[]podOption{waits, pending, bound("npu", "NPU")}, false},
		"seen only once it runs":    {[]podOption{waits, bound("npu", "NPU")}, false},
		"another image, once bound": {[]podOption{pending, bound("npu", "NPU"), bound("busybox", "NPU")}, true},
		"another device":            {[]podOption{pending, bound("npu", "NPU"), bound("npu", "CPU")}, true},
		"and back":                  {[]podOption{bound("npu", "NPU"), bound("npu", "CPU"), bound("npu", "NPU")}, true},
	} {
		t.Run(name, func(t *testing.T) {
			inv := New(Options{})
			var last PodChange
			for _, seen := range tt.seen {
				last = inv.SetPod(aPod("p", late("NPU", "ha-p"), seen))
			}
			run := last.Record.Run
			if run.Altered != tt.want {
				t.Errorf("altered: %v, want %v", run.Altered, tt.want)
			}
			if !tt.want && (run.Image != "npu" || run.Device != "NPU") {
				t.Errorf("it runs %s on %s", run.Image, run.Device)
			}
		})
	}
}

// TestADeviceThatIsReleased: between the end of a pod and the deallocation of its claim the
// device is about to be free, and not held for good.
func TestADeviceThatIsReleased(t *testing.T) {
	w := lateWorld()
	two := allocated("p")
	two.Holds = slotsOf(gpuClass, 2)
	w.SetPod(aPod("p", on("n"), late("GPU", "ha-p"), since(w.now)))
	w.SetAllocation(two)
	for i, step := range []func(){
		func() { w.SetPod(aPod("p", on("n"), late("GPU", "ha-p"), ended(corev1.PodSucceeded, 0, time.Second))) },
		func() { w.SetNode(aNode("n")) },
	} {
		step()
		c := w.look(wants(gpuClass))
		if c.Idle() != 0 || c.Ending != 2 || len(c.Running) != 2 || !c.Running[0].Ended || !c.Running[0].Ends {
			t.Errorf("step %d: %d idle, %d ending, running %+v", i, c.Idle(), c.Ending, c.Running)
		}
	}
	w.DeleteAllocation("default", "ha-p")
	if c := w.look(wants(gpuClass)); c.Idle() != 2 || c.Ending != 0 || len(c.Running) != 0 {
		t.Errorf("once deallocated: %d idle, %d ending, running %+v", c.Idle(), c.Ending, c.Running)
	}
}
