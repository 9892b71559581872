package kube

import (
	"context"
	"reflect"
	"runtime/debug"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"

	"heteroaccel.io/pkg/inventory"
	"heteroaccel.io/pkg/record"
)

func testKeys() *record.Keys { return testKey }

// streamed is what a reflector has of a list that streamed in: what the feed's
// transformer made of each object, by name.
func streamed[T any](t *testing.T, f *Feed[T], objects ...any) []any {
	t.Helper()
	store := cache.NewStore(cache.DeletionHandlingMetaNamespaceKeyFunc, cache.WithTransformer(f.Transformer()))
	for _, o := range objects {
		if err := store.Add(o); err != nil {
			t.Fatal(err)
		}
	}
	return store.List()
}

// TestStreamedPods: of a pod on a list that streams in, consumers are given the same
// record as of the whole pod, and of a bound one no containers, which nobody reads.
func TestStreamedPods(t *testing.T) {
	waiting := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "p", UID: "1", ResourceVersion: "7", Annotations: ours("default", "a")},
		Spec: corev1.PodSpec{
			SchedulerName: "s", Tolerations: []corev1.Toleration{{Key: "k", Operator: corev1.TolerationOpExists}},
			Containers: []corev1.Container{
				{Name: "a", Image: "i", Env: []corev1.EnvVar{{Name: "HETEROACCEL_DEVICE", Value: "GPU"}}, Resources: requests("gpu.intel.com/i915", "1", "cpu", "2")},
			},
		},
	}
	bound := waiting.DeepCopy()
	bound.Spec.NodeName, bound.Status.Phase = "n", corev1.PodRunning
	bound.Status.PodIPs = []corev1.PodIP{{IP: "10.0.0.1"}}
	bound.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "a", RestartCount: 1, State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: metav1.Unix(100, 0)}}}}
	plain := bound.DeepCopy()
	plain.Annotations = nil
	for name, pod := range map[string]*corev1.Pod{"waiting": waiting, "bound": bound, "not ours": plain} {
		t.Run(name, func(t *testing.T) {
			var got []*PodEvent
			var gone []types.NamespacedName
			f := newFeed("pods", nil, &corev1.Pod{}, podEvent(testKeys), recordPod(testKeys))
			f.Register(func(e *PodEvent) { got = append(got, e) }, func(n types.NamespacedName) { gone = append(gone, n) })
			if err := f.Replace(streamed(t, f, pod.DeepCopy()), "7"); err != nil {
				t.Fatal(err)
			}
			if err := f.Update(pod.DeepCopy()); err != nil { // as a watch has it, whole
				t.Fatal(err)
			}
			if err := f.Delete(pod.DeepCopy()); err != nil {
				t.Fatal(err)
			}
			if len(got) != 2 || len(gone) != 1 {
				t.Fatalf("%d events, %v gone", len(got), gone)
			}
			inv := inventory.New(inventory.Options{})
			if diff := cmp.Diff(inv.SetPod(inventory.PodOf(pod, testKey)).Record, inv.SetPod(got[0].Record).Record, cmp.Exporter(func(reflect.Type) bool { return true })); diff != "" {
				t.Errorf("the record (-whole +streamed):\n%s", diff)
			}
			p := got[0].Pod
			if p.UID != pod.UID || p.Spec.NodeName != pod.Spec.NodeName || p.Spec.SchedulerName != "s" || len(p.Status.PodIPs) != len(pod.Status.PodIPs) {
				t.Errorf("what is left of the pod lacks what consumers read: %+v", p)
			}
			if left := len(p.Spec.Containers); (left > 0) != (pod.Spec.NodeName == "") {
				t.Errorf("%d containers are left", left)
			}
			if diff := cmp.Diff(pod, got[1].Pod); diff != "" {
				t.Errorf("a watched pod (-want +got):\n%s", diff)
			}
		})
	}
}

// TestStreamedNodes: the same of nodes.
func TestStreamedNodes(t *testing.T) {
	n := node("a")
	n.Labels = map[string]string{"room": "2"}
	n.Spec = corev1.NodeSpec{Unschedulable: true, Taints: []corev1.Taint{{Key: "k", Effect: corev1.TaintEffectNoSchedule}}}
	n.Status = corev1.NodeStatus{Capacity: list("cpu", "8", "gpu.intel.com/i915", "2"), Allocatable: list("cpu", "7", "pods", "110", "gpu.intel.com/i915", "1")}
	var got []*inventory.Node
	f := newFeed("nodes", nil, &corev1.Node{}, nodeEvent, recordNode)
	f.Register(func(n *inventory.Node) { got = append(got, n) }, nil)
	if err := f.Replace(streamed(t, f, n.DeepCopy()), "7"); err != nil {
		t.Fatal(err)
	}
	if err := f.Update(n.DeepCopy()); err != nil {
		t.Fatal(err)
	}
	want := []*inventory.Node{inventory.NodeOf(n), inventory.NodeOf(n)}
	if diff := cmp.Diff(want, got, cmp.Exporter(func(reflect.Type) bool { return true })); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestFreeMemory: garbage is collected more often until the first lists are in, and
// as often as the user wants after that.
func TestFreeMemory(t *testing.T) {
	for name, c := range map[string]struct{ set, during int }{
		"default": {100, listGC}, "off": {-1, -1}, "more often": {10, 10},
	} {
		t.Run(name, func(t *testing.T) {
			defer debug.SetGCPercent(debug.SetGCPercent(c.set))
			feeds := &Feeds{lists: make(chan struct{}, 1)}
			f := newFeed("nodes", nil, &corev1.Node{}, itself[*corev1.Node], nil)
			reached := make(chan struct{})
			feeds.add(&noted{runner: f, asked: reached})
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				feeds.freeMemory(ctx)
			}()
			<-reached
			during := debug.SetGCPercent(c.set)
			debug.SetGCPercent(during)
			if during != c.during {
				t.Errorf("%d until the lists are in, want %d", during, c.during)
			}
			if err := f.Replace([]any{node("a")}, "1"); err != nil {
				t.Fatal(err)
			}
			<-reached
			cancel()
			<-ended
			after := debug.SetGCPercent(c.set)
			if after != c.set {
				t.Errorf("%d afterwards, want %d", after, c.set)
			}
		})
	}
}

// noted tells each time that a feed is asked whether it is synced.
type noted struct {
	runner
	asked chan struct{}
}

func (n *noted) Synced() error {
	err := n.runner.Synced()
	n.asked <- struct{}{}
	return err
}

// TestLongListsFreeMemory: what a later list took is returned if it was long.
func TestLongListsFreeMemory(t *testing.T) {
	told := 0
	f := newFeed("nodes", nil, &corev1.Node{}, itself[*corev1.Node], nil)
	f.onList(func() { told++ })
	long := make([]any, longList)
	for i := range long {
		long[i] = node("a")
	}
	for i, step := range []struct {
		list []any
		want int
	}{{nil, 1}, {[]any{node("a")}, 1}, {long, 2}, {nil, 2}} {
		if err := f.Replace(step.list, "1"); err != nil {
			t.Fatal(err)
		}
		if told != step.want {
			t.Errorf("told of %d lists after list %d, want %d", told, i, step.want)
		}
	}
}
