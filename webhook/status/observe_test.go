package status

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/inventory"
	"heteroaccel.io/pkg/profile"
	"heteroaccel.io/pkg/profile/v1alpha1"
	"heteroaccel.io/pkg/resources"
)

var noon = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)

// writer is one of the profile face, in a cluster of three nodes: g has a GPU, n a device
// of the class npu, and c nothing but its cores.
func writer(t *testing.T, write func(context.Context, *v1alpha1.InferenceProfile, profile.Observed) error) *Writer {
	store := profile.NewStore()
	if err := store.Put(face()); err != nil {
		t.Fatal(err)
	}
	inv := inventory.New(inventory.Options{})
	for name, devices := range map[string]corev1.ResourceList{"g": {"gpu.intel.com/i915": resource.MustParse("1")}, "n": nil, "c": nil} {
		all := corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("4"), corev1.ResourcePods: resource.MustParse("10")}
		if name == "c" {
			all[corev1.ResourceCPU] = resource.MustParse("1")
		}
		for r, q := range devices {
			all[r] = q
		}
		inv.SetNode(inventory.NodeOf(&corev1.Node{
			ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"site": name}},
			Status:     corev1.NodeStatus{Allocatable: all, Capacity: all},
		}))
	}
	npu := resources.Amounts{}.With(accel.ClassResource("npu"), 1)
	inv.SetSlots("n", inventory.Slots{Capacity: npu, Allocatable: npu})
	return New(Config{Write: write, Nodes: inv.Nodes, Profiles: store, Now: func() time.Time { return noon }, Log: zerolog.New(zerolog.NewTestWriter(t))})
}

func face() *v1alpha1.InferenceProfile {
	return &v1alpha1.InferenceProfile{
		ObjectMeta: metav1.ObjectMeta{Name: "face"},
		Spec: v1alpha1.InferenceProfileSpec{Variants: []v1alpha1.Variant{
			{Accelerator: "GPU", Image: "face:gpu", Limits: corev1.ResourceList{"gpu.intel.com/i915": resource.MustParse("1")}},
			{Accelerator: "CPU", Image: "face:cpu", Limits: corev1.ResourceList{"cpu": resource.MustParse("2")}, NodeSelector: map[string]v1alpha1.LabelValue{"site": "g"}},
			{Accelerator: "FPGA", Image: "face:fpga", Limits: corev1.ResourceList{"xilinx.com/fpga": resource.MustParse("1")}},
		}},
	}
}

// pod is one of face, as the webhook admitted it.
func pod(kind accel.Kind, run inventory.Run) *inventory.Pod {
	return &inventory.Pod{Namespace: "cameras", Name: "front", Managed: &inventory.Managed{Inference: "face", Kind: kind}, Run: &run}
}

// TestImages: only containers with the image of the variant that they were given say what
// becomes of it, and the profile is compared when that changes.
func TestImages(t *testing.T) {
	tests := map[string]struct {
		pods []*inventory.Pod
		want map[string]profile.Image
		// times is how often the profile is to be compared.
		times int
	}{
		"pulled":                 {[]*inventory.Pod{pod("GPU", inventory.Run{Image: "face:gpu", Pulled: true})}, map[string]profile.Image{"face:gpu": {Pulled: noon}}, 1},
		"pulled when it started": {[]*inventory.Pod{pod("GPU", inventory.Run{Image: "face:gpu", Pulled: true, Started: noon.Add(-time.Hour)})}, map[string]profile.Image{"face:gpu": {Pulled: noon.Add(time.Second - time.Hour)}}, 1},
		"twice":                  {[]*inventory.Pod{pod("GPU", inventory.Run{Image: "face:gpu", Pulled: true}), pod("GPU", inventory.Run{Image: "face:gpu", Pulled: true})}, map[string]profile.Image{"face:gpu": {Pulled: noon}}, 1},
		"failed":                 {[]*inventory.Pod{pod("CPU", inventory.Run{Image: "face:cpu", PullError: "not found"})}, map[string]profile.Image{"face:cpu": {Failed: noon, Error: "not found"}}, 1},
		"pulled long ago, and failed": {[]*inventory.Pod{
			pod("GPU", inventory.Run{Image: "face:gpu", Pulled: true, Started: noon.Add(-time.Hour)}),
			pod("GPU", inventory.Run{Image: "face:gpu", PullError: "not found"}),
		}, map[string]profile.Image{"face:gpu": {Pulled: noon.Add(time.Second - time.Hour), Failed: noon, Error: "not found"}}, 2},
		"failed, and started in the same second": {[]*inventory.Pod{
			pod("GPU", inventory.Run{Image: "face:gpu", PullError: "not found"}),
			pod("GPU", inventory.Run{Image: "face:gpu", Pulled: true, Started: noon.Add(-time.Millisecond).Truncate(time.Second)}),
		}, map[string]profile.Image{"face:gpu": {Pulled: noon, Failed: noon, Error: "not found"}}, 2},
		"not yet":               {[]*inventory.Pod{pod("GPU", inventory.Run{Image: "face:gpu"})}, map[string]profile.Image{}, 0},
		"another image":         {[]*inventory.Pod{pod("GPU", inventory.Run{Image: "mine", PullError: "x"})}, map[string]profile.Image{}, 0},
		"changed on the way":    {[]*inventory.Pod{pod("GPU", inventory.Run{Image: "face:gpu", Altered: true, PullError: "x"})}, map[string]profile.Image{}, 0},
		"of another kind":       {[]*inventory.Pod{pod("CPU", inventory.Run{Image: "face:gpu", Pulled: true})}, map[string]profile.Image{}, 0},
		"no pod of the webhook": {[]*inventory.Pod{{Run: &inventory.Run{Image: "face:gpu", Pulled: true}}}, map[string]profile.Image{}, 0},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			w := writer(t, nil)
			times := 0
			w.Images.Changed = func(name string) { times++; w.touch(name) }
			w.Set(face())
			w.take(false)
			for _, p := range tt.pods {
				w.Images.Observe(p)
			}
			if n := len(w.take(false)); times != tt.times || n != min(1, times) {
				t.Errorf("compared %d times, want %d; %d profiles changed", times, tt.times, n)
			}
			got := w.observe([]*v1alpha1.InferenceProfile{face()})
			if diff := cmp.Diff(tt.want, got[0].Images); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestForgetsImages: what no profile names any more is not kept.
func TestForgetsImages(t *testing.T) {
	w := writer(t, nil)
	w.Images.Observe(pod("GPU", inventory.Run{Image: "face:gpu", Pulled: true}))
	next := face()
	next.Spec.Variants[0].Image = "face:gpu-2"
	if err := w.cfg.Profiles.Put(next); err != nil {
		t.Fatal(err)
	}
	if got := w.observe([]*v1alpha1.InferenceProfile{next}); len(got[0].Images) != 0 || len(w.Images.images) != 0 {
		t.Errorf("%v are observed, %v kept", got[0].Images, w.Images.images)
	}
}

// TestNodes: nodes count that have the variant's resources, and its labels, free or not.
func TestNodes(t *testing.T) {
	late := face()
	late.Name = "late"
	late.Spec.Variants = late.Spec.Variants[:2]
	late.Spec.Variants[1].NodeSelector = nil
	late.Spec.Variants[0] = v1alpha1.Variant{Accelerator: "NPU", Image: "face:npu", DeviceClassName: "npu", Limits: corev1.ResourceList{"npu.intel.com/accel": resource.MustParse("1")}}
	late.Spec.Variants[1].DeviceClassName = "cpu"
	tests := map[string]struct {
		in      *v1alpha1.InferenceProfile
		binding profile.Binding
		want    map[accel.Kind]int
	}{
		"early":                     {face(), "", map[accel.Kind]int{"GPU": 1, "CPU": 1, "FPGA": 0}},
		"classes, early":            {late, profile.Early, map[accel.Kind]int{"NPU": 0, "CPU": 2}},
		"classes, late":             {late, profile.Late, map[accel.Kind]int{"NPU": 1, "CPU": 2}},
		"classes, either":           {late, profile.Auto, map[accel.Kind]int{"NPU": 1, "CPU": 2}},
		"no classes, late as asked": {face(), profile.Late, map[accel.Kind]int{"GPU": 1, "CPU": 1, "FPGA": 0}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			w := writer(t, nil)
			w.cfg.Binding = tt.binding
			if err := w.cfg.Profiles.Put(tt.in); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, w.observe([]*v1alpha1.InferenceProfile{tt.in})[0].Nodes); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
