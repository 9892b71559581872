package podtest

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/profile"
	"heteroaccel.io/pkg/profile/v1alpha1"
	"heteroaccel.io/pkg/record"
	"heteroaccel.io/webhook/mutate"
	"heteroaccel.io/webhook/variant"
)

// Keys seal the records.
var Keys = record.NewKeys([]byte(strings.Repeat("k", 32)))

// FirstAdmitted is from when the deadlines of pods count.
var FirstAdmitted = time.Unix(1_600_000_000, 5e6).UTC()

// CurrentKeys returns Keys.
func CurrentKeys() *record.Keys { return Keys }

// Source has one inference with a GPU and an NPU variant.
func Source(t *testing.T) variant.Source {
	t.Helper()
	oneOf := func(kind, device, name string) v1alpha1.Variant {
		return v1alpha1.Variant{
			Accelerator: kind, Image: "face:" + kind, Device: device,
			Limits: map[corev1.ResourceName]v1alpha1.Amount{corev1.ResourceName(name): resource.MustParse("1")},
		}
	}
	p, err := profile.New(&v1alpha1.InferenceProfile{
		ObjectMeta: metav1.ObjectMeta{Name: "face"},
		Spec: v1alpha1.InferenceProfileSpec{Variants: []v1alpha1.Variant{
			oneOf("GPU", "GPU", "gpu.intel.com/i915"), oneOf("NPU", "MYRIAD", "vpu.intel.com/hddl"),
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	profiles := profile.NewStore()
	profiles.Set(p)
	return variant.Source{Profiles: profiles}
}

// Admitted is a pod that was given a GPU, as the API server shows it.
func Admitted(t *testing.T, name, reservation string, change ...func(*corev1.Pod)) *corev1.Pod {
	t.Helper()
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "ns", Name: name, UID: types.UID("uid-" + name), ResourceVersion: "7",
			Annotations: map[string]string{accel.InferenceAnnotation: "face", accel.AcceleratorAnnotation: "any"},
		},
		Spec: corev1.PodSpec{
			Priority: new(int32(5)),
			Containers: []corev1.Container{{
				Name: "main", Image: "mine", Args: []string{"-d", "CPU"}, Env: []corev1.EnvVar{{Name: "PASSWORD", Value: "secret"}},
			}},
		},
	}
	for _, f := range change {
		f(pod)
	}
	undone := &mutate.Pod{
		Metadata: mutate.Metadata{Name: pod.Name, GenerateName: pod.GenerateName, Namespace: pod.Namespace, Annotations: pod.Annotations},
		Spec:     pod.Spec,
	}
	req, _, err := accel.ParseRequest(pod.Annotations)
	if err != nil {
		t.Fatal(err)
	}
	in, _, err := Source(t).Of(pod.Namespace, undone, req)
	if err != nil {
		t.Fatal(err)
	}
	in.Variant, in.Keys, in.Namespace = in.Profile.Variant("GPU"), Keys, pod.Namespace
	in.Decision = mutate.Decision{Kind: "GPU", Reason: "because", Reservation: reservation, FirstAdmitted: FirstAdmitted}
	out, err := mutate.Apply(undone, in)
	if err != nil {
		t.Fatal(err)
	}
	pod.Annotations, pod.Spec = out.Metadata.Annotations, out.Spec
	return pod
}

// OwnedBy gives a pod a controller.
func OwnedBy(apiVersion, kind string) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		p.OwnerReferences = []metav1.OwnerReference{{APIVersion: apiVersion, Kind: kind, Name: "o", UID: "owner", Controller: new(true)}}
	}
}

// OfJob gives a pod a Job as the Job controller does.
func OfJob(p *corev1.Pod) {
	OwnedBy("batch/v1", "Job")(p)
	p.Labels = map[string]string{"app": "x"}
	for _, name := range []string{"batch.kubernetes.io/controller-uid", "controller-uid", "batch.kubernetes.io/job-name", "job-name"} {
		p.Labels[name] = "owner"
	}
	p.Finalizers = []string{"batch.kubernetes.io/job-tracking"}
}

// LateSource has one inference with a GPU, an NPU and a CPU variant, whose pods are bound
// late. The CPU's takes two cores.
func LateSource(t *testing.T) variant.Source {
	t.Helper()
	oneOf := func(kind, device string, limits map[corev1.ResourceName]v1alpha1.Amount) v1alpha1.Variant {
		return v1alpha1.Variant{
			Accelerator: kind, Image: "face:" + strings.ToLower(kind), Device: device, Limits: limits,
			DeviceClassName: strings.ToLower(kind) + ".test",
		}
	}
	p, err := profile.New(&v1alpha1.InferenceProfile{
		ObjectMeta: metav1.ObjectMeta{Name: "face"},
		Spec: v1alpha1.InferenceProfileSpec{Variants: []v1alpha1.Variant{
			oneOf("GPU", "GPU", nil), oneOf("NPU", "MYRIAD", nil),
			oneOf("CPU", "CPU", map[corev1.ResourceName]v1alpha1.Amount{"cpu": resource.MustParse("2")}),
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	profiles := profile.NewStore()
	profiles.Set(p)
	return variant.Source{Profiles: profiles, Binding: profile.Late}
}

// AdmittedLate is a pod that is bound late and was given a kind, as the API server shows
// it.
func AdmittedLate(t *testing.T, name, reservation string, kind accel.Kind) *corev1.Pod {
	t.Helper()
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "ns", Name: name, UID: types.UID("uid-" + name), ResourceVersion: "7",
			Annotations: map[string]string{accel.InferenceAnnotation: "face", accel.AcceleratorAnnotation: "any"},
		},
		Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "main", Image: "mine", Args: []string{"-d", "CPU"}}}},
	}
	undone := &mutate.Pod{Metadata: mutate.Metadata{Name: pod.Name, Namespace: pod.Namespace, Annotations: pod.Annotations}, Spec: pod.Spec}
	req, _, err := accel.ParseRequest(pod.Annotations)
	if err != nil {
		t.Fatal(err)
	}
	in, _, err := LateSource(t).Of(pod.Namespace, undone, req)
	if err != nil || !in.Late {
		t.Fatalf("bound late: %t, error %v", in.Late, err)
	}
	in.Variant, in.Keys, in.Namespace = in.VariantOf(kind), Keys, pod.Namespace
	in.Decision = mutate.Decision{Kind: kind, Reason: "because", Reservation: reservation, FirstAdmitted: FirstAdmitted}
	out, err := mutate.Apply(undone, in)
	if err != nil {
		t.Fatal(err)
	}
	pod.Annotations, pod.Spec = out.Metadata.Annotations, out.Spec
	return pod
}
