package extendertest

import (
	"bytes"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/inventory"
	"heteroaccel.io/pkg/profile"
	"heteroaccel.io/pkg/profile/v1alpha1"
	"heteroaccel.io/pkg/record"
)

// Resources of devices.
const (
	GPU  = "gpu.intel.com/i915"
	NPU  = "npu.intel.com/accel"
	FPGA = "fpga.intel.com/region"
)

// Now is the time at which tests take place.
var Now = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// Fixed is a clock that stands at Now.
func Fixed() time.Time { return Now }

// key seals the records of pods.
var key = record.NewKeys(bytes.Repeat([]byte{7}, 32))

// Managed is a pod of the face-recognition profile that the webhook admitted for
// a kind, on a node if that is not "", with pairs of requests.
func Managed(name, node string, kind accel.Kind, edit func(*corev1.Pod), requests ...string) *corev1.Pod {
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "default", Name: name, UID: types.UID("uid-" + name), CreationTimestamp: metav1.NewTime(Now.Add(-90 * time.Second)),
			Annotations: map[string]string{
				accel.InferenceAnnotation: "face-recognition",
				accel.SelectedAnnotation:  string(kind),
				accel.ReasonAnnotation:    "GPU is idle (1 of 1 free), a run takes 76ms; NPU idle, 146ms, CPU idle, 1s",
				accel.OriginalAnnotation:  seal("default", kind),
			},
		},
		Spec: corev1.PodSpec{NodeName: node, Containers: []corev1.Container{{
			Name:      "inference",
			Resources: corev1.ResourceRequirements{Requests: List(requests...)},
		}}},
		Status: corev1.PodStatus{Phase: corev1.PodPending},
	}
	if node != "" {
		p.Status.Phase = corev1.PodRunning
	}
	if edit != nil {
		edit(p)
	}
	return p
}

// In puts a pod that Managed makes into another namespace than default.
func In(namespace string) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		p.Namespace = namespace
		p.Annotations[accel.OriginalAnnotation] = seal(namespace, accel.Kind(p.Annotations[accel.SelectedAnnotation]))
	}
}

// seal is the record of a pod that was admitted for a kind.
// Late has a pod that Managed makes be bound late, by a ResourceClaim.
func Late(class, claim string) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		p.Annotations[accel.OriginalAnnotation] = record.Seal(fmt.Sprintf(`{"container":"inference","inference":"face-recognition","kind":%q,"class":%q,"claim":%q}`,
			p.Annotations[accel.SelectedAnnotation], class, claim), key, p.Namespace, "")
		p.Spec.ResourceClaims = []corev1.PodResourceClaim{{Name: "heteroaccel", ResourceClaimName: &claim}}
	}
}

func seal(namespace string, kind accel.Kind) string {
	return record.Seal(fmt.Sprintf(`{"container":"inference","inference":"face-recognition","kind":%q}`, kind), key, namespace, "")
}

// Pinned is a pod that the webhook did not admit, with pairs of requests.
func Pinned(name string, requests ...string) *corev1.Pod {
	return Managed(name, "", "", func(p *corev1.Pod) { p.Annotations = nil }, requests...)
}

// Record is the inventory's record of a pod.
func Record(p *corev1.Pod) *inventory.Pod { return inventory.PodOf(p, key) }

// List is a list of resources, from pairs of names and quantities.
func List(pairs ...string) corev1.ResourceList {
	l := corev1.ResourceList{}
	for i := 0; i < len(pairs); i += 2 {
		l[corev1.ResourceName(pairs[i])] = resource.MustParse(pairs[i+1])
	}
	return l
}

// Device is a healthy device of one slot, changed by edits.
func Device(kind accel.Kind, id, resource string, edits ...func(*accel.Device)) accel.Device {
	d := accel.Device{Kind: kind, ID: id, Resource: resource, Health: accel.Healthy, Slots: 1}
	for _, edit := range edits {
		edit(&d)
	}
	return d
}

// Unhealthy makes a device unhealthy, and InUse lets a process outside Kubernetes
// use it.
func Unhealthy(d *accel.Device) { d.Health = accel.Unhealthy }
func InUse(d *accel.Device)     { d.ExternalUse = "ffmpeg" }

// Allocated gives a device's one slot to a pod, by telemetry.
func Allocated(pod string) func(*accel.Device) {
	return func(d *accel.Device) {
		d.Allocated = 1
		d.Holders = []accel.Holder{{Namespace: "default", Pod: pod, Container: "inference", Slots: 1}}
	}
}

// NodeNames are n names.
func NodeNames(n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("node-%05d.edge.example", i)
	}
	return names
}

func faces() *v1alpha1.InferenceProfile {
	hint := func(d time.Duration) *metav1.Duration { return &metav1.Duration{Duration: d} }
	return &v1alpha1.InferenceProfile{
		ObjectMeta: metav1.ObjectMeta{Name: "face-recognition"},
		Spec: v1alpha1.InferenceProfileSpec{Variants: []v1alpha1.Variant{
			{Accelerator: "GPU", Image: "registry.example/heteroaccel/face-recognition:gpu", Limits: List(GPU, "1"), ServiceTime: hint(76 * time.Millisecond)},
			{Accelerator: "NPU", Image: "registry.example/heteroaccel/face-recognition:npu", Device: "MYRIAD", Limits: List(NPU, "1"), ServiceTime: hint(146 * time.Millisecond)},
			{Accelerator: "CPU", Image: "registry.example/heteroaccel/face-recognition:cpu", Limits: List("cpu", "2")},
		}},
	}
}

func texts() *v1alpha1.InferenceProfile {
	return &v1alpha1.InferenceProfile{
		ObjectMeta: metav1.ObjectMeta{Name: "text"},
		Spec: v1alpha1.InferenceProfileSpec{Variants: []v1alpha1.Variant{
			{Accelerator: "FPGA", Image: "registry.example/text:fpga", Device: "HETERO:FPGA,CPU", Limits: List(FPGA, "2")},
		}},
	}
}

// learned is what a status says of a variant.
func learned(v *profile.Variant, samples int64, recent string) v1alpha1.LearnedTime {
	return v1alpha1.LearnedTime{
		Accelerator: string(v.Kind), Runs: samples, VariantHash: v.Hash, Recent: recent,
		LastObserved: metav1.NewTime(Now.Add(-time.Minute)),
	}
}
