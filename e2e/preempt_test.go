package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	schedulingv1 "k8s.io/api/scheduling/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"heteroaccel.io/e2e/machine"
	"heteroaccel.io/e2e/stack"
)

// TestBrokenDevices is what the scheduler does about devices that are broken,
// with pods that are pinned to them by hand and pods of ours: nobody is evicted
// for one, and nobody is put on one.
func TestBrokenDevices(t *testing.T) {
	s := borrow(t, fourNodes)
	for name, value := range map[string]int32{"mid": 500, "high": 1000} {
		class := &schedulingv1.PriorityClass{ObjectMeta: metav1.ObjectMeta{Name: name}, Value: value}
		if _, err := s.Client().SchedulingV1().PriorityClasses().Create(t.Context(), class, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	g := s.Machine("g")
	unbind, bind := func() error { return g.Unbind("card0") }, func() error { return g.Bind("card0") }
	hold, release := func() error { return g.UseExternally("card0", "benchmark_app") }, func() error { return g.Release("card0") }
	asked := func(name string) *corev1.Pod {
		return anyPod(name, "face-recognition", "gpu", onNodes(corev1.LabelHostname, "g"))
	}
	byHand := func(name string) *corev1.Pod { return pinned(name, "g") }
	runShared(t, s, []shared{
		{"driver unbound, pinned", func(t *testing.T, s *stack.Stack) {
			nobodyIsEvicted(t, s, byHand, "unhealthy", "unhealthy", "GPU 0000:00:02.0 is unhealthy", unbind, bind)
		}},
		{"driver unbound, ours", func(t *testing.T, s *stack.Stack) {
			nobodyIsEvicted(t, s, asked, "unhealthy", "unhealthy", "GPU 0000:00:02.0 is unhealthy", unbind, bind)
		}},
		{"external use, pinned", func(t *testing.T, s *stack.Stack) {
			nobodyIsEvicted(t, s, byHand, "external (benchmark_app)", "external_use", "GPU 0000:00:02.0 is used outside Kubernetes by benchmark_app", hold, release)
		}},
		{"external use, ours", func(t *testing.T, s *stack.Stack) {
			nobodyIsEvicted(t, s, asked, "external (benchmark_app)", "external_use", "GPU 0000:00:02.0 is used outside Kubernetes by benchmark_app", hold, release)
		}},
		{"the victim holds the good device", theGoodDeviceIsFreed},
		{"the victim holds the broken device", theBrokenDeviceIsNot},
		{"pinned to a broken device", pinnedToABrokenDevice},
		{"nobody asks", nobodyAsks},
		{"the scheduler's own words", theSchedulersWords},
	})
}

// pinned is a pod that names its accelerator and its node, as those without us
// do.
func pinned(name, node string, options ...podOption) *corev1.Pod {
	return plainPod(name, append([]podOption{withLimit(gpuResource, "1"), onNodes(corev1.LabelHostname, node)}, options...)...)
}

// nobodyIsEvicted: while the GPU of g, which a pod holds, is broken, a pod of
// higher priority waits and is told; with the GPU in order again it takes the
// other's place.
func nobodyIsEvicted(t *testing.T, s *stack.Stack, pod func(name string) *corev1.Pod, state, reason, why string, breakIt, mend func() error) {
	low := running(t, s, create(t, s, pod("low")))
	nodeSays(t, s, "g", "default/low (inference)")
	if err := breakIt(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := mend(); err != nil {
			t.Error(err)
		}
	}()
	nodeSays(t, s, "g", state)
	before, err := sparedNodes(t.Context(), s, reason)
	if err != nil {
		t.Fatal(err)
	}

	high := pod("high")
	withPriority("high")(high)
	high = create(t, s, high)
	eventually(t, func(ctx context.Context) error {
		n, err := sparedNodes(ctx, s, reason)
		if err == nil && n <= before {
			err = errors.New("the extender took no node out of a preemption")
		}
		return err
	})
	eventually(t, func(ctx context.Context) error { return told(ctx, s, high, "preemption: ") })
	stillThere(t, s, low)
	if node := get(t, s, high).Spec.NodeName; node != "" {
		t.Fatalf("the pod of high priority was bound to %s", node)
	}
	if _, ours := high.Annotations["heteroaccel.io/selected"]; ours {
		podSays(t, s, high, why+"; evicting default/low would free no usable device")
	}

	if err := mend(); err != nil {
		t.Fatal(err)
	}
	nodeSays(t, s, "g", "busy")
	// Nothing that happened to a device is an event for the scheduler: it asks
	// again for a new pod.
	again := pod("again")
	withPriority("high")(again)
	if node := running(t, s, create(t, s, again)).Spec.NodeName; node != "g" {
		t.Errorf("with the device in order again it runs on %s, want g", node)
	}
	if _, err := s.Client().CoreV1().Pods(low.Namespace).Get(t.Context(), low.Name, metav1.GetOptions{}); err == nil {
		t.Error("and nobody was evicted for it")
	}
}

// sparedNodes reads how many nodes the extender took out of preemptions.
func sparedNodes(ctx context.Context, s *stack.Stack, reason string) (float64, error) {
	return metricOf(ctx, s, "extender status", fmt.Sprintf("heteroaccel_extender_preemption_nodes_rejected_total{reason=%q}", reason))
}

// stillThere fails the test when a pod was deleted, or is about to be.
func stillThere(t *testing.T, s *stack.Stack, p *corev1.Pod) {
	t.Helper()
	if found := get(t, s, p); found.UID != p.UID || found.DeletionTimestamp != nil {
		t.Errorf("pod %s was evicted: %+v", p.Name, found.Status.Conditions)
	}
}

// heldBy waits until the extender says which GPU of a node a pod holds, and
// returns the name that the device has on its machine.
func heldBy(t *testing.T, s *stack.Stack, node, pod string) (device string) {
	t.Helper()
	eventually(t, func(ctx context.Context) error {
		text, err := stack.Get(ctx, s.URL("extender", "/nodes/"+node+"?format=json"))
		if err != nil {
			return err
		}
		var v struct {
			Devices []struct {
				ID      string
				Holders []struct{ Pod, Container string }
			}
		}
		if err := json.Unmarshal([]byte(text), &v); err != nil {
			return err
		}
		for _, d := range v.Devices {
			for _, h := range d.Holders {
				if h.Pod != pod || h.Container == "" {
					continue
				}
				i := slices.IndexFunc(s.Machine(node).Devices, func(m machine.Device) bool { return m.Address == d.ID })
				if i < 0 {
					return fmt.Errorf("machine %s has no device at %s", node, d.ID)
				}
				device = s.Machine(node).Devices[i].Name
				return nil
			}
		}
		return fmt.Errorf("no device of %s is held by %s: %s", node, pod, text)
	})
	return device
}

// inOrder waits until the extender calls no device of a node unhealthy.
func inOrder(t *testing.T, s *stack.Stack, node string) {
	t.Helper()
	eventually(t, func(ctx context.Context) error {
		text, err := stack.Get(ctx, s.URL("extender", "/nodes/"+node))
		if err == nil && strings.Contains(text, "unhealthy") {
			err = fmt.Errorf("a device of node %s is still unhealthy", node)
		}
		return err
	})
}

// onTwo has a pod of middle priority and one of none hold the two GPUs of node
// "two", and breaks the one that the pod called broken holds, until mend.
func onTwo(t *testing.T, s *stack.Stack, broken string) (mid, low *corev1.Pod, mend func()) {
	t.Helper()
	mid = running(t, s, create(t, s, pinned("mid", "two", withPriority("mid"))))
	low = running(t, s, create(t, s, pinned("low", "two")))
	heldBy(t, s, "two", "mid")
	heldBy(t, s, "two", "low")
	device, m := heldBy(t, s, "two", broken), s.Machine("two")
	if err := m.Unbind(device); err != nil {
		t.Fatal(err)
	}
	nodeSays(t, s, "two", "unhealthy")
	return mid, low, func() {
		if err := m.Bind(device); err != nil {
			t.Error(err)
		}
		inOrder(t, s, "two")
	}
}

// theGoodDeviceIsFreed: evicting the holder of the good device helps.
func theGoodDeviceIsFreed(t *testing.T, s *stack.Stack) {
	mid, low, mend := onTwo(t, s, "mid")
	defer mend()
	good := heldBy(t, s, "two", "low")
	high := running(t, s, create(t, s, pinned("high", "two", withPriority("high"))))
	if got := heldBy(t, s, "two", high.Name); got != good {
		t.Errorf("it holds %s, want %s", got, good)
	}
	stillThere(t, s, mid)
	if _, err := s.Client().CoreV1().Pods(low.Namespace).Get(t.Context(), low.Name, metav1.GetOptions{}); err == nil {
		t.Error("the pod of the lowest priority is still there")
	}
}

// theBrokenDeviceIsNot: evicting the holder of the broken one does not, while
// another holds the good one.
func theBrokenDeviceIsNot(t *testing.T, s *stack.Stack) {
	mid, low, mend := onTwo(t, s, "low")
	defer mend()
	before, err := sparedNodes(t.Context(), s, "unhealthy")
	if err != nil {
		t.Fatal(err)
	}
	high := create(t, s, pinned("high", "two", withPriority("high")))
	eventually(t, func(ctx context.Context) error {
		n, err := sparedNodes(ctx, s, "unhealthy")
		if err == nil && n <= before {
			err = errors.New("the extender took no node out of a preemption")
		}
		return err
	})
	eventually(t, func(ctx context.Context) error { return told(ctx, s, high, "preemption: ") })
	stillThere(t, s, mid)
	stillThere(t, s, low)
}

// pinnedToABrokenDevice: a pod that is not ours is kept off an idle device that
// is broken, unless a flag leaves such pods alone.
func pinnedToABrokenDevice(t *testing.T, s *stack.Stack) {
	g := s.Machine("g")
	if err := g.Unbind("card0"); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := g.Bind("card0"); err != nil {
			t.Error(err)
		}
		inOrder(t, s, "g")
	}()
	nodeSays(t, s, "g", "unhealthy")
	kept := create(t, s, pinned("kept", "g"))
	eventually(t, func(ctx context.Context) error { return told(ctx, s, kept, "GPU 0000:00:02.0 is unhealthy") })
	if node := get(t, s, kept).Spec.NodeName; node != "" {
		t.Fatalf("it was bound to %s", node)
	}
	vacate(t, s, kept) // else it may get the device before the next pod does

	s.Process("extender").Stop()
	if err := s.StartExtender(t.Context(), "--unmanaged-pods=false"); err != nil {
		t.Fatal(err)
	}
	defer func() {
		s.Process("extender").Stop()
		if err := s.StartExtender(t.Context()); err != nil {
			t.Error(err)
		}
	}()
	nodeSays(t, s, "g", "unhealthy")
	if node := running(t, s, create(t, s, pinned("alone", "g"))).Spec.NodeName; node != "g" {
		t.Errorf("it runs on %s, want g", node)
	}
}
