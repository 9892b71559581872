package variant_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/profile"
	"heteroaccel.io/pkg/profile/v1alpha1"
	"heteroaccel.io/webhook/mutate"
	"heteroaccel.io/webhook/variant"
)

// TestTimes: the order of the profile is the prior; where a pod names kinds,
// the guesses among them are reassigned in its order, and what is known is not.
func TestTimes(t *testing.T) {
	tests := map[string]struct {
		hints map[string]time.Duration
		speed map[string]float64
		kinds []accel.Kind
		want  string
	}{
		"any":                         {want: "GPU 1s order, NPU 2s order, CPU 4s order"},
		"the profile's order":         {kinds: []accel.Kind{"GPU", "CPU"}, want: "GPU 1s order, CPU 4s order"},
		"another order":               {kinds: []accel.Kind{"CPU", "GPU"}, want: "CPU 1s pod's order, GPU 4s pod's order"},
		"one of them is known":        {hints: map[string]time.Duration{"GPU": 2 * time.Second}, kinds: []accel.Kind{"CPU", "NPU", "GPU"}, want: "CPU 4s pod's order, NPU 8s pod's order, GPU 2s hint"},
		"one that it rules out is":    {hints: map[string]time.Duration{"GPU": 2 * time.Second}, kinds: []accel.Kind{"NPU", "CPU"}, want: "NPU 4s order, CPU 8s order"},
		"only one is guessed":         {hints: map[string]time.Duration{"GPU": 2 * time.Second}, kinds: []accel.Kind{"CPU", "GPU"}, want: "CPU 8s order, GPU 2s hint"},
		"speeds are not to be argued": {speed: map[string]float64{"GPU": 6, "CPU": 1}, kinds: []accel.Kind{"CPU", "GPU"}, want: "CPU 6s speed, GPU 1s speed"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			in := &v1alpha1.InferenceProfile{ObjectMeta: metav1.ObjectMeta{Name: "face"}}
			for _, variant := range []struct {
				kind  string
				limit corev1.ResourceName
			}{{"GPU", "gpu.intel.com/i915"}, {"NPU", "npu.intel.com/accel"}, {"CPU", "cpu"}} {
				kind, limit := variant.kind, variant.limit
				v := v1alpha1.Variant{Accelerator: kind, Image: "face", Limits: corev1.ResourceList{limit: resource.MustParse("1")}}
				if d := tt.hints[kind]; d > 0 {
					v.ServiceTime = &metav1.Duration{Duration: d}
				}
				if s := tt.speed[kind]; s > 0 {
					v.Speed = &s
				}
				in.Spec.Variants = append(in.Spec.Variants, v)
			}
			p, err := profile.New(in)
			if err != nil {
				t.Fatal(err)
			}
			profiles := profile.NewStore()
			profiles.Set(p)
			pod := &mutate.Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "main", Image: "mine"}}}}
			_, options, err := variant.Source{Profiles: profiles}.Of("default", pod, accel.Request{Inference: "face", Kinds: tt.kinds})
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for i, o := range options {
				if o.Rank != i {
					t.Errorf("%s has rank %d, want %d", o.Kind, o.Rank, i)
				}
				got = append(got, fmt.Sprintf("%s %s %s", o.Kind, o.Service, o.Basis))
			}
			if joined := strings.Join(got, ", "); joined != tt.want {
				t.Errorf("got  %s\nwant %s", joined, tt.want)
			}
		})
	}
}
