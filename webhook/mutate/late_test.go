package mutate

import (
	"errors"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"heteroaccel.io/pkg/accel"
)

// latePod is a pod as it is admitted for a kind, bound late, and what Swap asks for.
func latePod(t *testing.T, kind accel.Kind, args ...string) (pod, undone *Pod, in Input) {
	t.Helper()
	p := readProfile(t, "profile-late")
	raw := encode(t, &Pod{
		Metadata: Metadata{Name: "p", Annotations: map[string]string{accel.InferenceAnnotation: p.Name, accel.AcceleratorAnnotation: "any"}},
		Spec:     corev1.PodSpec{Containers: []corev1.Container{{Name: "inference", Image: "mine", Args: args}}},
	})
	once, err := review([]byte(raw), p, kind)
	if err != nil {
		t.Fatal(err)
	}
	pod = decode(t, once)
	undone, ok := Undo(pod, testKey, "default")
	if !ok {
		t.Fatal("the record does not verify")
	}
	return pod, undone, Input{
		Profile: p, Known: knownResource, Keys: testKey, Namespace: "default", Late: true,
		Decision: Decision{Kind: kind, Reason: "moved", Reservation: "r-1"},
	}
}

// TestSwap: a pod is moved by its image, its cpu and our annotations alone, to and fro,
// and what it then is undone to is what its user wrote.
func TestSwap(t *testing.T) {
	pod, undone, in := latePod(t, "GPU", "-d", "CPU")
	for _, kind := range []accel.Kind{"NPU", "CPU", "GPU", "FPGA", "CPU"} {
		in.Variant, in.Decision.Kind = in.VariantOf(kind), kind
		a, err := Swap(pod, undone, in)
		if err != nil {
			t.Fatal(err)
		}
		c := in.Target.detach(pod)
		if a.Image != in.Variant.Spec.Image || *a.Annotations[accel.DeviceAnnotation] != in.Variant.Device || *a.Annotations[accel.SelectedAnnotation] != string(kind) {
			t.Errorf("%s: image %q, annotations %v", kind, a.Image, a.Annotations)
		}
		c.Image = a.Image
		if a.Resources != nil {
			c.Resources.Limits, c.Resources.Requests = a.Resources.Limits, a.Resources.Requests
		}
		want := resource.MustParse("1m")
		if kind == accel.CPU {
			want = resource.MustParse("2")
		}
		if c.Resources.Requests.Cpu().Cmp(want) != 0 || !c.Resources.Limits.Cpu().IsZero() {
			t.Errorf("%s: it requests %s of cpu and is limited to %s, want %s and no limit", kind, c.Resources.Requests.Cpu(), c.Resources.Limits.Cpu(), &want)
		}
		for name, value := range a.Annotations {
			delete(pod.Metadata.Annotations, name)
			if value != nil {
				pod.Metadata.Annotations[name] = *value
			}
		}
		again, ok := Undo(pod, testKey, "default")
		if diff := gocmp.Diff(encode(t, undone), encode(t, again)); !ok || diff != "" {
			t.Fatalf("%s: record verifies: %v; undone (-before +after):\n%s", kind, ok, diff)
		}
		if a, err := Swap(pod, again, in); err != nil || a.Image != "" || a.Annotations != nil || a.Resources != nil {
			t.Errorf("%s: a second time %+v, %v", kind, a, err)
		}
	}
}

// TestSwapFixed: where the profile has changed since in what is fixed on a pod, the pod
// cannot be moved, and that is said.
func TestSwapFixed(t *testing.T) {
	pod, undone, in := latePod(t, "GPU")
	in.Variant = in.VariantOf("NPU")
	in.Variant.Spec.Args = []string{"--new"}
	if _, err := Swap(pod, undone, in); !errors.Is(err, ErrFixed) {
		t.Errorf("error %v, want %v", err, ErrFixed)
	}
}

// TestFitsLate: a command line on which a variable cannot stand for the device keeps its
// pod from being bound late.
func TestFitsLate(t *testing.T) {
	p := readProfile(t, "profile-late")
	for name, c := range map[string]struct {
		pod  corev1.PodSpec
		fits bool
	}{
		"a flag":          {corev1.PodSpec{Containers: []corev1.Container{{Args: []string{"-d", "GPU"}}}}, true},
		"no flag":         {corev1.PodSpec{Containers: []corev1.Container{{}}}, true},
		"a vendor's form": {corev1.PodSpec{Containers: []corev1.Container{{Args: []string{"-d", "intel:gpu"}}}}, false},
		"pod resources":   {corev1.PodSpec{Containers: []corev1.Container{{}}, Resources: &corev1.ResourceRequirements{}}, false},
	} {
		t.Run(name, func(t *testing.T) {
			if err := FitsLate(&Pod{Spec: c.pod}, Target{}, p); (err == nil) != c.fits {
				t.Errorf("error %v, want it to fit: %v", err, c.fits)
			}
		})
	}
}
