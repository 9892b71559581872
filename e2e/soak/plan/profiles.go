package plan

import (
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/profile/v1alpha1"
)

// The resources that the machines' device plugins serve.
const (
	gpu   = "gpu.intel.com/i915"
	npu   = "npu.intel.com/accel"
	stick = "vpu.intel.com/hddl"
	fpga  = "fpga.intel.com/arria10.dcp1.2-nlb0"
)

// Profiles are the inferences of the soak. The variant for an FPGA mounts the
// host's device files, which the PodSecurity levels baseline and restricted
// refuse; that for the CPU limits so much that a LimitRange may refuse it.
func Profiles() []*v1alpha1.InferenceProfile {
	return []*v1alpha1.InferenceProfile{
		inference("soak-detect", gpuVariant(4*time.Second), npuVariant(npu, 7*time.Second), fpgaVariant(10*time.Second), cpuVariant(16*time.Second)),
		inference("soak-classify", npuVariant(stick, 5*time.Second), gpuVariant(6*time.Second), cpuVariant(14*time.Second)),
		inference("soak-segment", gpuVariant(6*time.Second), fpgaVariant(8*time.Second), npuVariant(npu, 12*time.Second), cpuVariant(20*time.Second)),
	}
}

func inference(name string, variants ...v1alpha1.Variant) *v1alpha1.InferenceProfile {
	for i := range variants {
		variants[i].Image = "soak/" + name + ":" + variants[i].Device
	}
	return &v1alpha1.InferenceProfile{
		TypeMeta:   metav1.TypeMeta{APIVersion: "heteroaccel.io/v1alpha1", Kind: "InferenceProfile"},
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec:       v1alpha1.InferenceProfileSpec{Container: Container, DeviceFlags: []string{"-d"}, Variants: variants},
	}
}

func limits(pairs ...string) map[corev1.ResourceName]v1alpha1.Amount {
	m := map[corev1.ResourceName]v1alpha1.Amount{}
	for i := 0; i < len(pairs); i += 2 {
		m[corev1.ResourceName(pairs[i])] = resource.MustParse(pairs[i+1])
	}
	return m
}

func gpuVariant(takes time.Duration) v1alpha1.Variant {
	return v1alpha1.Variant{
		Accelerator: "GPU", Device: "GPU", Limits: limits(gpu, "1"), SupplementalGroups: []int64{109},
		ServiceTime: &metav1.Duration{Duration: takes},
	}
}

func npuVariant(name string, takes time.Duration) v1alpha1.Variant {
	return v1alpha1.Variant{
		Accelerator: "NPU", Device: "NPU", Limits: limits(name, "1"), Args: []string{"--batch_size", "1"},
		ServiceTime: &metav1.Duration{Duration: takes},
	}
}

func fpgaVariant(takes time.Duration) v1alpha1.Variant {
	return v1alpha1.Variant{
		Accelerator: "FPGA", Device: "FPGA", Limits: limits(fpga, "1"), ServiceTime: &metav1.Duration{Duration: takes},
		Volumes:      []corev1.Volume{{Name: "dfl", VolumeSource: corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/opt/dfl"}}}},
		VolumeMounts: []corev1.VolumeMount{{Name: "dfl", MountPath: "/opt/dfl", ReadOnly: true}},
	}
}

func cpuVariant(takes time.Duration) v1alpha1.Variant {
	return v1alpha1.Variant{
		Accelerator: "CPU", Device: "CPU", Limits: limits("cpu", "2", "memory", "1Gi"), ServiceTime: &metav1.Duration{Duration: takes},
	}
}

// Variant is the variant of an inference for a kind; ok is false for none.
func (p *Plan) Variant(inference string, kind accel.Kind) (v v1alpha1.Variant, ok bool) {
	for _, profile := range p.Profiles {
		if profile.Name != inference {
			continue
		}
		i := slices.IndexFunc(profile.Spec.Variants, func(v v1alpha1.Variant) bool { return v.Accelerator == string(kind) })
		if i >= 0 {
			return profile.Spec.Variants[i], true
		}
	}
	return v, false
}

// device is the extended resource that a variant limits, "" for the CPU's.
func device(v v1alpha1.Variant) string {
	for name := range v.Limits {
		if accel.IsDeviceResource(name) {
			return string(name)
		}
	}
	return ""
}
