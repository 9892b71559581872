package server

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	admissionv1 "k8s.io/api/admission/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"heteroaccel.io/pkg/accel"
)

func selected(p *corev1.Pod) string { return p.Annotations[accel.SelectedAnnotation] }

// TestOneAfterAnother is the paper's main case: each decision knows those
// before it, though no pod has been seen yet.
func TestOneAfterAnother(t *testing.T) {
	r := newRig(t).paper()
	var got []string
	for i := range 5 {
		p, _ := r.admit(t, pod(fmt.Sprintf("p%d", i), "face-recognition", "any"))
		got = append(got, selected(p))
	}
	if diff := cmp.Diff([]string{"GPU", "NPU", "FPGA", "CPU", "CPU"}, got); diff != "" {
		t.Errorf("kinds (-want +got):\n%s", diff)
	}
}

func TestMutation(t *testing.T) {
	r := newRig(t).paper()
	p, _ := r.admit(t, pod("p", "face-recognition", "npu"))
	c := p.Spec.Containers[0]
	one := resource.MustParse("1")
	want := corev1.ResourceList{npu: one}
	for name, got := range map[string]corev1.ResourceList{"limits": c.Resources.Limits, "requests": c.Resources.Requests} {
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	if c.Image != "heteroaccel/face-recognition:npu" || c.Command[2] != "./app -d MYRIAD && sleep 9" {
		t.Errorf("image %q, command %q", c.Image, c.Command)
	}
	for _, key := range []string{accel.SelectedAnnotation, accel.ReasonAnnotation, accel.ReservationAnnotation, accel.OriginalAnnotation} {
		if p.Annotations[key] == "" {
			t.Errorf("annotation %s is missing", key)
		}
	}
}

// TestSecondCall is reinvocationPolicy IfNeeded: the pod comes again with our
// patch applied, and nothing is left to change, nor reserved twice.
func TestSecondCall(t *testing.T) {
	r := newRig(t).paper()
	first, _ := r.admit(t, pod("p", "face-recognition", "any"))
	second, resp := r.admit(t, first)
	if len(resp.Patch) > 0 {
		t.Errorf("the second call patched: %s", resp.Patch)
	}
	if diff := cmp.Diff(first, second); diff != "" {
		t.Errorf("second call (-first +second):\n%s", diff)
	}
	if n := r.inv.Reservations(); n != 1 {
		t.Errorf("%d reservations after two calls for one pod, want 1", n)
	}
	// With a sidecar put first by somebody else in between, the same
	// container stays the one.
	withSidecar := first.DeepCopy()
	withSidecar.Spec.Containers = slices.Insert(withSidecar.Spec.Containers, 0, corev1.Container{Name: "sidecar", Image: "sidecar"})
	third, _ := r.admit(t, withSidecar)
	if diff := cmp.Diff(withSidecar, third); diff != "" {
		t.Errorf("call with a sidecar (-before +after):\n%s", diff)
	}
}

// TestCopiedPod creates a copy of an admitted pod, annotations and all: it is
// a new request.
func TestCopiedPod(t *testing.T) {
	r := newRig(t).paper()
	first, _ := r.admit(t, pod("p", "face-recognition", "any"))
	r.arrives(first, "g")
	again := first.DeepCopy()
	again.Name = "copy"
	second, _ := r.admit(t, again)
	if selected(first) != "GPU" || selected(second) != "NPU" {
		t.Errorf("the pod got %s and its copy %s, want GPU and NPU", selected(first), selected(second))
	}
	if first.Annotations[accel.ReservationAnnotation] == second.Annotations[accel.ReservationAnnotation] {
		t.Error("the copy took over the reservation of the first")
	}
	if got := second.Spec.Containers[0].Command[2]; got != "./app -d MYRIAD && sleep 9" {
		t.Errorf("the copy runs %q", got)
	}
}

// TestChangedInBetween is a second call after somebody took the first call's
// kind away from the pod: it gets another, and one reservation.
func TestChangedInBetween(t *testing.T) {
	r := newRig(t).paper()
	first, _ := r.admit(t, pod("p", "face-recognition", "any"))
	first.Annotations[accel.AcceleratorAnnotation] = "npu"
	second, _ := r.admit(t, first)
	if selected(second) != "NPU" {
		t.Errorf("got %s, want NPU: %s", selected(second), second.Annotations[accel.ReasonAnnotation])
	}
	if n := r.inv.Reservations(); n != 2 {
		t.Errorf("%d reservations, want 2: one claims nothing", n)
	}
	if p, _ := r.admit(t, pod("q", "face-recognition", "gpu")); strings.Contains(p.Annotations[accel.ReasonAnnotation], "waits") {
		t.Errorf("the GPU was not released: %s", p.Annotations[accel.ReasonAnnotation])
	}
}

func TestDryRunReservesNothing(t *testing.T) {
	r := newRig(t).paper()
	dry := true
	for range 3 {
		p, _ := r.admit(t, pod("p", "face-recognition", "any"), func(q *admissionv1.AdmissionRequest) { q.DryRun = &dry })
		if selected(p) != "GPU" {
			t.Errorf("a dry run got %s, want GPU", selected(p))
		}
	}
	if n := r.inv.Reservations(); n != 0 {
		t.Errorf("%d reservations after dry runs", n)
	}
}

// TestDryRunReleasesNothing: a dry run of a copy of a fresh pod, whatever it
// asks for, leaves the pod its reservation.
func TestDryRunReleasesNothing(t *testing.T) {
	for name, change := range map[string]func(*corev1.Pod){
		"the same":     func(*corev1.Pod) {},
		"another kind": func(p *corev1.Pod) { p.Annotations[accel.AcceleratorAnnotation] = "npu" },
		"refused": func(p *corev1.Pod) {
			p.Spec.Containers[0].Env = []corev1.EnvVar{{Name: accel.DeviceEnv, Value: strings.Repeat("x", 200<<10)}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t).paper()
			first, _ := r.admit(t, pod("p", "face-recognition", "any"))
			again := first.DeepCopy()
			change(again)
			r.admit(t, again, func(q *admissionv1.AdmissionRequest) { q.DryRun = new(true) })
			if p, _ := r.admit(t, pod("q", "face-recognition", "any")); selected(p) != "NPU" {
				t.Errorf("the next pod got %s, want NPU: the GPU is reserved", selected(p))
			}
		})
	}
}

// TestWarnings: what the pod's words leave open is told on the wire, each time
// the pod comes, and stands in its reason once.
func TestWarnings(t *testing.T) {
	r := newRig(t).paper()
	p, resp := r.admit(t, pod("p", "face-recognition", "npu", func(p *corev1.Pod) {
		p.Spec.Containers[0].Command[2] = "./app -d ${DEV:-GPU}\x01\n"
	}))
	want := []string{`container "inference": "-d ${DEV:-GPU}?" stays as it is and may name another device than MYRIAD: write "-d any", or use $(HETEROACCEL_DEVICE)`}
	if diff := cmp.Diff(want, resp.Warnings); diff != "" {
		t.Errorf("warnings (-want +got):\n%s", diff)
	}
	reason := `NPU is free (1 of 1), a run takes 146ms; but "-d ${DEV:-GPU}?" may be another device`
	if got := p.Annotations[accel.ReasonAnnotation]; got != reason {
		t.Errorf("the reason is\n%s\nwant\n%s", got, reason)
	}
	again, resp := r.admit(t, p)
	if diff := cmp.Diff(want, resp.Warnings); diff != "" || len(resp.Patch) > 0 {
		t.Errorf("the second time: patch %s, warnings (-want +got):\n%s", resp.Patch, diff)
	}
	// Somebody's webhook makes the doubt greater in between.
	again.Spec.Containers[0].Env = append(again.Spec.Containers[0].Env, corev1.EnvVar{Name: "TARGET_DEVICE", Value: "CPU"})
	third, resp := r.admit(t, again)
	if got := third.Annotations[accel.ReasonAnnotation]; got != reason+", and variable TARGET_DEVICE names another device" || len(resp.Warnings) != 2 {
		t.Errorf("the third time the reason is %s, warnings %q", got, resp.Warnings)
	}
	if p, resp := r.admit(t, pod("q", "face-recognition", "gpu")); len(resp.Warnings) > 0 || strings.Contains(p.Annotations[accel.ReasonAnnotation], "but") {
		t.Errorf("a pod in whose words all is clear: %q, %s", resp.Warnings, p.Annotations[accel.ReasonAnnotation])
	}
}

// TestConstraints asks for any accelerator where only some can be reached.
func TestConstraints(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*corev1.Pod)
		want   string
	}{
		"anywhere":      {func(*corev1.Pod) {}, "GPU"},
		"node selector": {func(p *corev1.Pod) { p.Spec.NodeSelector = map[string]string{"kubernetes.io/hostname": "n"} }, "NPU"},
		"node affinity": {func(p *corev1.Pod) {
			p.Spec.Affinity = &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{RequiredDuringSchedulingIgnoredDuringExecution: &corev1.NodeSelector{
				NodeSelectorTerms: []corev1.NodeSelectorTerm{{MatchExpressions: []corev1.NodeSelectorRequirement{
					{Key: "kubernetes.io/hostname", Operator: corev1.NodeSelectorOpIn, Values: []string{"f"}},
				}}},
			}}}
		}, "FPGA"},
		"too much memory for any": {func(p *corev1.Pod) {
			p.Spec.Containers[0].Resources.Requests = corev1.ResourceList{"memory": resource.MustParse("1Ti")}
		}, "CPU"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t).paper()
			p, _ := r.admit(t, pod("p", "face-recognition", "any", c.change))
			if selected(p) != c.want {
				t.Errorf("got %s, want %s: %s", selected(p), c.want, p.Annotations[accel.ReasonAnnotation])
			}
		})
	}
}

// TestManyAtOnce lets many admissions race for few devices: each device goes
// to exactly one.
func TestManyAtOnce(t *testing.T) {
	r := newRig(t)
	const devices, pods = 25, 200
	for i := range devices {
		r.node(fmt.Sprintf("g%d", i), gpu, 1)
		r.node(fmt.Sprintf("n%d", i), npu, 1)
	}
	var mu sync.Mutex
	idle := map[string]int{}
	var wg sync.WaitGroup
	for i := range pods {
		p := pod(fmt.Sprintf("p%d", i), "face-recognition", "gpu,npu")
		body := reviewOf(t, p)
		wg.Go(func() {
			out, _, err := r.admitted(p, body)
			if err != nil {
				t.Error(err)
				return
			}
			// As the API server would, some are shown at once, unbound.
			if i%3 == 0 {
				r.arrives(out, "")
			}
			mu.Lock()
			defer mu.Unlock()
			if !strings.Contains(out.Annotations[accel.ReasonAnnotation], "waits for") {
				idle[selected(out)]++
			}
		})
	}
	wg.Wait()
	if diff := cmp.Diff(map[string]int{"GPU": devices, "NPU": devices}, idle); diff != "" {
		t.Errorf("decisions that found their kind free (-want +got):\n%s", diff)
	}
}
