package profile_test

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/profile"
	"heteroaccel.io/pkg/profile/v1alpha1"
	"heteroaccel.io/pkg/servicetime"
)

// gpuAndCPU is a valid profile for tests to break.
func gpuAndCPU() *v1alpha1.InferenceProfile {
	return &v1alpha1.InferenceProfile{
		ObjectMeta: metav1.ObjectMeta{Name: "face-recognition"},
		Spec: v1alpha1.InferenceProfileSpec{
			Container: "inference",
			Template:  &runtime.RawExtension{Raw: []byte(`{"metadata":{"labels":{"app":"face"}}}`)},
			Variants: []v1alpha1.Variant{{
				Accelerator: "gpu",
				Image:       "face:gpu",
				Limits:      limits("gpu.intel.com/i915", "1", "memory", "1Gi"),
				ServiceTime: &metav1.Duration{Duration: 76 * time.Millisecond},
			}, {
				Accelerator: "CPU",
				Image:       "face:cpu",
				Device:      "AUTO:CPU",
				Limits:      limits("cpu", "500m"),
			}},
		},
	}
}

// limits is a list of name, amount, name, amount, …
func limits(pairs ...string) corev1.ResourceList {
	out := corev1.ResourceList{}
	for i := 0; i < len(pairs); i += 2 {
		out[corev1.ResourceName(pairs[i])] = resource.MustParse(pairs[i+1])
	}
	return out
}

func TestNew(t *testing.T) {
	in := gpuAndCPU()
	in.Spec.Deadline = &metav1.Duration{Duration: 5 * time.Second}
	got, err := profile.New(in)
	if err != nil {
		t.Fatal(err)
	}
	want := &profile.Profile{
		Name:        "face-recognition",
		Container:   "inference",
		DeviceFlags: []string{"-d"},
		Template:    &corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": "face"}}},
		Variants: []profile.Variant{{
			Kind:        "GPU",
			Device:      "GPU",
			Devices:     limits("gpu.intel.com/i915", "1"),
			ServiceTime: 76 * time.Millisecond,
			Expected:    76 * time.Millisecond,
			Estimate:    76 * time.Millisecond,
			Basis:       servicetime.Hinted,
			ServerTime:  76 * time.Millisecond,
			ServerBasis: servicetime.Hinted,
			Hash:        got.Variants[0].Hash,
			Spec:        &in.Spec.Variants[0],
		}, {
			Kind:     "CPU",
			Device:   "AUTO:CPU",
			Devices:  corev1.ResourceList{},
			Estimate: 152 * time.Millisecond,
			Basis:    servicetime.ProfileOrder,

			ServerTime:  152 * time.Millisecond,
			ServerBasis: servicetime.ProfileOrder,
			Hash:        got.Variants[1].Hash,
			Spec:        &in.Spec.Variants[1],
		}},
		NotLate:  got.NotLate,
		Deadline: 5 * time.Second,
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateErrors()); diff != "" {
		t.Errorf("profile (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]accel.Kind{"GPU", "CPU"}, got.Kinds()); diff != "" {
		t.Errorf("kinds (-want +got):\n%s", diff)
	}
	if v := got.Variant("NPU"); v != nil {
		t.Errorf("variant for NPU = %v, want none", v)
	}
}

// TestNamespaceSelector: none selects every namespace.
func TestNamespaceSelector(t *testing.T) {
	in := gpuAndCPU()
	in.Spec.NamespaceSelector = &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: "team-a"}}
	p, err := profile.New(in)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{"team-a": true, "team-b": false} {
		if got := p.Namespaces.Matches(labels.Set{corev1.LabelMetadataName: name}); got != want {
			t.Errorf("it selects %s: %v, want %v", name, got, want)
		}
	}
	in.Spec.NamespaceSelector = &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "team", Operator: "Is"}}}
	if _, err := profile.New(in); err == nil || !strings.Contains(err.Error(), "namespaceSelector") {
		t.Errorf("a selector that is none: %v", err)
	}
}

// TestDeviceFlags: nil is the default, an empty list is none.
func TestDeviceFlags(t *testing.T) {
	for name, tc := range map[string]struct{ written, want []string }{
		"left out": {nil, []string{"-d"}},
		"none":     {[]string{}, []string{}},
		"a key":    {[]string{"device"}, []string{"device"}},
		"several":  {[]string{"--device", "-d", "device"}, []string{"--device", "-d", "device"}},
	} {
		t.Run(name, func(t *testing.T) {
			in := gpuAndCPU()
			in.Spec.DeviceFlags = tc.written
			// As it comes from, and goes to, the API server.
			wire, err := json.Marshal(in)
			if err != nil {
				t.Fatal(err)
			}
			in = &v1alpha1.InferenceProfile{}
			if err := json.Unmarshal(wire, in); err != nil {
				t.Fatal(err)
			}
			got, err := profile.New(in.DeepCopy())
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, got.DeviceFlags); diff != "" {
				t.Errorf("flags (-want +got):\n%s", diff)
			}
		})
	}
}

func TestNewRefuses(t *testing.T) {
	for name, tc := range map[string]struct {
		spoil func(*v1alpha1.InferenceProfileSpec)
		want  string // part of the error
	}{
		"no variants":       {func(s *v1alpha1.InferenceProfileSpec) { s.Variants = nil }, "has no variants"},
		"two of one kind":   {func(s *v1alpha1.InferenceProfileSpec) { s.Variants[1] = s.Variants[0] }, "several variants for GPU"},
		"any":               {func(s *v1alpha1.InferenceProfileSpec) { s.Variants[0].Accelerator = "any" }, "name the kind"},
		"kind with a comma": {func(s *v1alpha1.InferenceProfileSpec) { s.Variants[0].Accelerator = "gpu,npu" }, "is not an accelerator kind"},
		"empty image":       {func(s *v1alpha1.InferenceProfileSpec) { s.Variants[0].Image = "" }, "the image is empty"},
		"negative time":     {func(s *v1alpha1.InferenceProfileSpec) { s.Variants[0].ServiceTime.Duration = -1 }, "not greater than 0"},
		"no deadline":       {func(s *v1alpha1.InferenceProfileSpec) { s.Deadline = &metav1.Duration{} }, "deadline 0s is not greater than 0"},
		"no speed":          {func(s *v1alpha1.InferenceProfileSpec) { s.Variants[0].Speed = new(0.) }, "speed 0 is not a number from"},
		"speed of nothing":  {func(s *v1alpha1.InferenceProfileSpec) { s.Variants[0].Speed = new(math.NaN()) }, "leave it out"},
		"speed of light":    {func(s *v1alpha1.InferenceProfileSpec) { s.Variants[0].Speed = new(math.Inf(1)) }, "leave it out"},
		"half a device":     {func(s *v1alpha1.InferenceProfileSpec) { s.Variants[0].Limits = limits("gpu.intel.com/i915", "0.5") }, "cannot be divided"},
		"no device":         {func(s *v1alpha1.InferenceProfileSpec) { s.Variants[0].Limits = limits("cpu", "1") }, "limits names no device"},
		"CPU without cpu":   {func(s *v1alpha1.InferenceProfileSpec) { s.Variants[1].Limits = limits("memory", "1Gi") }, "limits cpu"},
		"CPU with a device": {func(s *v1alpha1.InferenceProfileSpec) {
			s.Variants[1].Limits["gpu.intel.com/i915"] = resource.MustParse("1")
		}, "no extended resource"},
		"no cores at all":   {func(s *v1alpha1.InferenceProfileSpec) { s.Variants[1].Limits = limits("cpu", "0") }, "not greater than 0"},
		"empty flag":        {func(s *v1alpha1.InferenceProfileSpec) { s.DeviceFlags = []string{""} }, "is empty"},
		"flag of dashes":    {func(s *v1alpha1.InferenceProfileSpec) { s.DeviceFlags = []string{"--"} }, "is empty"},
		"flag with a value": {func(s *v1alpha1.InferenceProfileSpec) { s.DeviceFlags = []string{"-d GPU"} }, "holds spaces"},
		"key with a value":  {func(s *v1alpha1.InferenceProfileSpec) { s.DeviceFlags = []string{"device=GPU"} }, "or holds spaces or '='"},
		"conflicting key":   {func(s *v1alpha1.InferenceProfileSpec) { s.ConflictingFlags = []string{"config"} }, "does not start with '-'"},
		"negative group":    {func(s *v1alpha1.InferenceProfileSpec) { s.Variants[0].SupplementalGroups = []int64{-1} }, "supplemental group -1"},
		"no label": {func(s *v1alpha1.InferenceProfileSpec) {
			s.Variants[0].NodeSelector = map[string]v1alpha1.LabelValue{"a b": ""}
		}, "label of a node"},
		"template of no pod": {func(s *v1alpha1.InferenceProfileSpec) { s.Template.Raw = []byte(`{"spec":{"containers":"x"}}`) }, "not a pod template"},
	} {
		t.Run(name, func(t *testing.T) {
			in := gpuAndCPU()
			tc.spoil(&in.Spec)
			_, err := profile.New(in)
			if err == nil || !strings.Contains(err.Error(), tc.want) || !strings.HasPrefix(err.Error(), "profile face-recognition") {
				t.Errorf("error %q, want one about profile face-recognition with %q", err, tc.want)
			}
		})
	}
}
