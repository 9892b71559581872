package v1alpha1

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Amount is a resource.Quantity, so that limits are a corev1.ResourceList in Go.
// There are two aliases because the generator reads the markers of the inner one:
// CEL rules need a bound on the length of a quantity.
type Amount = amount

// Each limit is a quantity of at most 32 characters.
//
// +kubebuilder:validation:XIntOrString
// +kubebuilder:validation:MaxLength=32
type amount = resource.Quantity

// Variant is one inference on one kind of accelerator.
//
// +kubebuilder:validation:XValidation:rule="self.accelerator.lowerAscii() == 'cpu' || has(self.deviceClassName) || self.limits.exists(r, r.contains('/'))",message="limits names no device: a variant for anything but the CPU limits the extended resource its device is served as, such as gpu.intel.com/i915: \"1\", or names a deviceClassName"
// +kubebuilder:validation:XValidation:rule="self.accelerator.lowerAscii() != 'cpu' || ('cpu' in self.limits && !self.limits.exists(r, r.contains('/')))",message="a variant for the CPU limits cpu, such as cpu: \"2\", and no extended resource"
type Variant struct {
	// accelerator is the kind of accelerator: CPU, GPU, FPGA, NPU or any
	// other word but "any". Case does not matter.
	//
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="self.matches('^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$')",message="this is not a kind of accelerator: use letters, digits, '.', '_' or '-', at most 32 characters, such as GPU"
	// +kubebuilder:validation:XValidation:rule="self.lowerAscii() != 'any'",message="\"any\" is what pods say that take every kind: name the kind this variant is for, such as GPU"
	Accelerator string `json:"accelerator"`

	// image is the container image of the inference, built for this kind.
	//
	// +kubebuilder:validation:MaxLength=512
	// +kubebuilder:validation:XValidation:rule="self.matches('^[^ \\t\\r\\n]+$')",message="an image is needed, without spaces: name the container image that holds the inference for this kind"
	Image string `json:"image"`

	// device is the OpenVINO device name to set as the value of the device flag,
	// such as GPU, NPU, MYRIAD or HETERO:FPGA,CPU. Defaults to accelerator.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=128
	// +kubebuilder:validation:XValidation:rule="self.matches('^([A-Za-z0-9][A-Za-z0-9._:,-]*)?$')",message="this is not an OpenVINO device name: use letters, digits, '.', '_', ':', ',' and '-', such as GPU or HETERO:FPGA,CPU"
	Device string `json:"device,omitempty"`

	// limits are the container's resource limits, and its requests. For the CPU
	// they include cpu. For every other kind they include the extended resource
	// that its device plugin advertises, such as gpu.intel.com/i915, in whole
	// numbers. They define which extended resources belong to which kind.
	//
	// +kubebuilder:validation:MaxProperties=16
	// +kubebuilder:validation:XValidation:rule="self.all(r, r in ['cpu', 'memory', 'ephemeral-storage'] || r.startsWith('hugepages-') || r.matches('^[a-z0-9][-a-z0-9.]*/[A-Za-z0-9][-A-Za-z0-9_.]*$') && !r.matches('^requests[.]|^(.+[.])?kubernetes[.]io/'))",message="a limit is for cpu, memory, ephemeral-storage, hugepages-SIZE or an extended resource with its vendor's domain, such as gpu.intel.com/i915"
	// +kubebuilder:validation:XValidation:rule="self.all(r, isQuantity(string(self[r])) && quantity(string(self[r])).isGreaterThan(quantity('0')))",message="every limit is a quantity greater than 0, such as \"2\", 500m or 1Gi"
	// +kubebuilder:validation:XValidation:rule="self.all(r, !r.contains('/') || !isQuantity(string(self[r])) || quantity(string(self[r])).isInteger())",message="an extended resource comes in whole numbers: a device cannot be divided"
	Limits map[corev1.ResourceName]Amount `json:"limits"`

	// deviceClassName is the DeviceClass of the kind's devices where they are served by
	// dynamic resource allocation, such as gpu.intel.com. With one for every variant,
	// pods can be bound late: see binding. Such a pod gets one device of the class, and
	// the limits that are no extended resources.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$')",message="this cannot be the name of a DeviceClass: use lower-case letters, digits, '-' and '.', such as gpu.intel.com"
	DeviceClassName string `json:"deviceClassName,omitempty"`

	// serviceTime is a hint: how long one run takes, greater than 0, such as
	// 76ms. Measured runs replace it.
	//
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]{1,9}([.][0-9]{1,9})?(ns|us|µs|ms|s)|[0-9]{1,6}([.][0-9]{1,9})?(m|h))+$') && duration(self) > duration('0s')",message="a service time is a duration greater than 0, such as 76ms or 1.5s"
	ServiceTime *metav1.Duration `json:"serviceTime,omitempty"`

	// speed is how fast this variant is relative to the profile's others, where
	// no time can be given, as for servers: a run takes half as long at speed 6 as
	// at speed 3. Only the ratios count, and only while there is no serviceTime
	// and no run was measured. Without a speed, each variant is expected to be
	// half as fast as the one before it.
	//
	// +optional
	// +kubebuilder:validation:XValidation:rule="double(self) >= 0.000001 && double(self) <= 1000000.0",message="a speed is a number from 0.000001 to 1000000, such as 6 or 1.5: how many times as fast the variant is as one of speed 1"
	Speed *float64 `json:"speed,omitempty"`

	// args are appended to the container's args.
	//
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=64
	Args []string `json:"args,omitempty"`

	// env are environment variables added to the container's. They replace
	// variables of the same name.
	//
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:XValidation:rule="self.all(e, e.name != '')",message="an environment variable needs a name"
	Env []corev1.EnvVar `json:"env,omitempty"`

	// volumes are added to the pod's volumes.
	//
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=16
	Volumes []corev1.Volume `json:"volumes,omitempty"`

	// volumeMounts are added to the container's. Each names a volume of the pod
	// or of this variant.
	//
	// +optional
	// +listType=map
	// +listMapKey=mountPath
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:XValidation:rule="self.all(m, m.name != '' && m.mountPath != '')",message="a volume mount needs the name of a volume and a mountPath"
	VolumeMounts []corev1.VolumeMount `json:"volumeMounts,omitempty"`

	// supplementalGroups are group IDs added to the pod's security context, such
	// as that of the render group, which owns /dev/dri.
	//
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:XValidation:rule="self.all(g, g >= 0 && g <= 2147483647)",message="a supplemental group is a number from 0 to 2147483647"
	SupplementalGroups []int64 `json:"supplementalGroups,omitempty"`

	// nodeSelector is added to the pod's: the labels that a node must have to run
	// this variant.
	//
	// +optional
	// +mapType=atomic
	// +kubebuilder:validation:MaxProperties=16
	// +kubebuilder:validation:XValidation:rule="self.all(k, k.indexOf('/') <= 253 && k.matches('^([a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$'))",message="a key of a node selector is that of a label, such as example.com/site"
	NodeSelector map[string]LabelValue `json:"nodeSelector,omitempty"`

	// tolerations are added to the pod's: the taints of nodes that this variant
	// may run on nevertheless.
	//
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	Tolerations []corev1.Toleration `json:"tolerations,omitempty"`
}

// Selector is the node selector as a pod has it; nil for none.
func (in *Variant) Selector() map[string]string {
	if len(in.NodeSelector) == 0 {
		return nil
	}
	out := make(map[string]string, len(in.NodeSelector))
	for key, value := range in.NodeSelector {
		out[key] = string(value)
	}
	return out
}

// LabelValue is the value of a node's label.
//
// +kubebuilder:validation:MaxLength=63
// +kubebuilder:validation:Pattern=`^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$`
type LabelValue string
