package profile_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"heteroaccel.io/pkg/profile"
	"heteroaccel.io/pkg/profile/v1alpha1"
)

// withClasses is a profile whose variants all have a DeviceClass.
func withClasses() *v1alpha1.InferenceProfile {
	in := gpuAndCPU()
	in.Spec.Variants[0].DeviceClassName, in.Spec.Variants[1].DeviceClassName = "gpu.intel.com", "cpu.heteroaccel.io"
	return in
}

// TestLateVariants: what cannot change on a pod that waits is that of all variants
// together; each has its own image, cpu and class.
func TestLateVariants(t *testing.T) {
	in := withClasses()
	gpu, cpu := &in.Spec.Variants[0], &in.Spec.Variants[1]
	gpu.Env = []corev1.EnvVar{{Name: "BOTH", Value: "1"}, {Name: "GPU", Value: "1"}}
	cpu.Env = []corev1.EnvVar{{Name: "BOTH", Value: "1"}}
	gpu.SupplementalGroups, cpu.SupplementalGroups = []int64{44}, []int64{109, 44}
	p, err := profile.New(in)
	if err != nil || p.NotLate != nil {
		t.Fatalf("errors %v, %v", err, p.NotLate)
	}
	for i, want := range []struct {
		class  string
		limits corev1.ResourceList
	}{
		{"gpu.intel.com", limits("memory", "1Gi")},
		{"cpu.heteroaccel.io", limits("memory", "1Gi", "cpu", "500m")},
	} {
		v := p.Late[i]
		if diff := cmp.Diff(want.limits, corev1.ResourceList(v.Spec.Limits)); diff != "" || v.Class != want.class || len(v.Devices) > 0 {
			t.Errorf("%s: class %q, devices %v, limits (-want +got):\n%s", v.Kind, v.Class, v.Devices, diff)
		}
		if len(v.Spec.Env) != 2 || len(v.Spec.SupplementalGroups) != 2 {
			t.Errorf("%s: env %v, groups %v", v.Kind, v.Spec.Env, v.Spec.SupplementalGroups)
		}
		if v.Written() != "$(HETEROACCEL_DEVICE)" || p.Variants[i].Written() != p.Variants[i].Device {
			t.Errorf("%s: %q is written late and %q early", v.Kind, v.Written(), p.Variants[i].Written())
		}
	}
	if len(p.Variants[0].Spec.SupplementalGroups) != 1 || p.Variants[0].Class != "" {
		t.Error("the variants of pods that are bound early have changed too")
	}
}

// TestExactMemory: memory is each variant's own where all state it.
func TestExactMemory(t *testing.T) {
	in := withClasses()
	in.Spec.Variants[1].Limits["memory"] = resource.MustParse("2Gi")
	p, err := profile.New(in)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(limits("memory", "1Gi"), corev1.ResourceList(p.Late[0].Spec.Limits)); diff != "" {
		t.Errorf("GPU (-want +got):\n%s", diff)
	}
}

// TestNotLate: what keeps the variants from sharing a pod is said, and the profile is
// usable all the same.
func TestNotLate(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*v1alpha1.InferenceProfile)
		want   string
	}{
		"no class":  {func(p *v1alpha1.InferenceProfile) { p.Spec.Variants[1].DeviceClassName = "" }, "the CPU variant names no deviceClassName"},
		"arguments": {func(p *v1alpha1.InferenceProfile) { p.Spec.Variants[1].Args = []string{"-b", "8"} }, "args differs between the CPU variant"},
		"a selector": {func(p *v1alpha1.InferenceProfile) {
			p.Spec.Variants[0].NodeSelector = map[string]v1alpha1.LabelValue{"a": "b"}
		}, "nodeSelector differs"},
		"a variable":  {func(p *v1alpha1.InferenceProfile) { env(p, 0, "1"); env(p, 1, "2") }, "env PRECISION differs"},
		"a volume":    {func(p *v1alpha1.InferenceProfile) { volume(p, 0, "/a"); volume(p, 1, "/b") }, "volume cache differs"},
		"a mount":     {func(p *v1alpha1.InferenceProfile) { mount(p, 0, "one"); mount(p, 1, "other") }, "volume mount /cache differs"},
		"all is well": {func(p *v1alpha1.InferenceProfile) { env(p, 0, "1"); volume(p, 1, "/b"); mount(p, 1, "cache") }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			in := withClasses()
			c.change(in)
			p, err := profile.New(in)
			switch {
			case err != nil:
				t.Fatal(err)
			case c.want == "" && p.NotLate != nil, c.want != "" && (p.NotLate == nil || !strings.HasPrefix(p.NotLate.Error(), c.want) || p.Late != nil):
				t.Errorf("error %v, want %q", p.NotLate, c.want)
			}
		})
	}
}

func env(p *v1alpha1.InferenceProfile, i int, value string) {
	p.Spec.Variants[i].Env = []corev1.EnvVar{{Name: "PRECISION", Value: value}}
}

func volume(p *v1alpha1.InferenceProfile, i int, path string) {
	p.Spec.Variants[i].Volumes = []corev1.Volume{{Name: "cache", VolumeSource: corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: path}}}}
}

func mount(p *v1alpha1.InferenceProfile, i int, name string) {
	p.Spec.Variants[i].VolumeMounts = []corev1.VolumeMount{{Name: name, MountPath: "/cache"}}
}

// TestClassAlone: a variant may have a DeviceClass and no extended resource.
func TestClassAlone(t *testing.T) {
	in := withClasses()
	delete(in.Spec.Variants[0].Limits, "gpu.intel.com/i915")
	if _, err := profile.New(in); err != nil {
		t.Error(err)
	}
	in.Spec.Variants[0].DeviceClassName = ""
	if _, err := profile.New(in); err == nil || !strings.Contains(err.Error(), "or a deviceClassName") {
		t.Errorf("without either: %v", err)
	}
}
