package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// InferenceProfile says how one inference runs on each kind of accelerator.
// A pod annotated with its name gets the variant whose accelerator is best
// when the pod is admitted.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:scope=Cluster,shortName=infp,categories=heteroaccel
// +kubebuilder:subresource:status
// +kubebuilder:printcolumn:name="Accelerators",type=string,JSONPath=`.status.accelerators`,description="The kinds there are variants for."
// +kubebuilder:printcolumn:name="Container",type=string,JSONPath=`.spec.container`,description="The container that runs the inference."
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type InferenceProfile struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec is how the inference runs on each kind of accelerator.
	Spec InferenceProfileSpec `json:"spec"`
	// status is what was observed of the profile; nobody needs to write it.
	//
	// +optional
	Status InferenceProfileStatus `json:"status,omitempty"`
}

// InferenceProfileSpec lists the variants of one inference.
type InferenceProfileSpec struct {
	// container is the name of the container that runs the inference. A pod
	// that has no such container says which one by an annotation, by the
	// container that carries a device flag or an accelerator, or by having one
	// container only; else it is refused.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:XValidation:rule="self.matches('^([a-z0-9]([-a-z0-9]*[a-z0-9])?)?$')",message="this cannot be the name of a container: use lower-case letters, digits and '-'"
	Container string `json:"container,omitempty"`

	// deviceFlags are the command line flags whose value is the OpenVINO
	// device, such as "-d" or "--target_device". The first that starts with a
	// dash is the one that is added where a container has none. One without a
	// dash is a key: "device" stands for device=GPU, in one word, and is never
	// added. Defaults to ["-d"]; an empty list says that the program takes no
	// such flag.
	//
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=8
	// +kubebuilder:validation:items:MaxLength=64
	// +kubebuilder:validation:XValidation:rule="self.all(f, f.matches('^--?[A-Za-z0-9][A-Za-z0-9_.-]*$|^[A-Za-z_][A-Za-z0-9_.-]*$'))",message="a device flag starts with '-', or is the key of key=value, and holds neither spaces nor '=': write it alone, such as \"-d\", \"--target_device\" or \"device\""
	DeviceFlags []string `json:"deviceFlags,omitzero"`

	// conflictingFlags are the command line flags beside which the program
	// takes neither a device flag nor the variants' args, because what they
	// name says both: "--config_path" of OpenVINO Model Server. Where one
	// stands nothing is added.
	//
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=8
	// +kubebuilder:validation:items:MaxLength=64
	// +kubebuilder:validation:XValidation:rule="self.all(f, f.matches('^--?[A-Za-z0-9][A-Za-z0-9_.-]*$'))",message="a conflicting flag starts with '-' and holds neither spaces nor '=': write it alone, such as \"--config_path\""
	ConflictingFlags []string `json:"conflictingFlags,omitempty"`

	// readsDeviceEnv says that the program takes its device from the
	// environment variable HETEROACCEL_DEVICE, so that no flag is missed where
	// there is none.
	//
	// +optional
	ReadsDeviceEnv bool `json:"readsDeviceEnv,omitempty"`

	// template is the pod template that is used for a request that comes
	// without a pod of its own: metadata and spec, as in a Deployment.
	//
	// +optional
	// +kubebuilder:pruning:PreserveUnknownFields
	Template *runtime.RawExtension `json:"template,omitempty"`

	// sessionsPerPod is how many sessions of the connector one pod made from
	// the template serves at a time. Defaults to 1.
	//
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1024
	SessionsPerPod int32 `json:"sessionsPerPod,omitempty"`

	// idleTimeout is how long the connector keeps a pod made from the template
	// that serves no session, so that the next session finds it warm. Defaults to
	// one minute.
	//
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=16
	// +kubebuilder:validation:Pattern=`^([0-9]{1,3}h)?([0-9]{1,4}m)?([0-9]{1,5}s)?$`
	IdleTimeout *metav1.Duration `json:"idleTimeout,omitempty"`

	// variants are the ways this inference can run: one for each kind of
	// accelerator, at least one.
	//
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:XValidation:rule="self.size() > 0",message="there are no variants: list at least one, the way this inference runs on one kind of accelerator"
	// +kubebuilder:validation:XValidation:rule="self.all(v, self.exists_one(w, w.accelerator.lowerAscii() == v.accelerator.lowerAscii()))",message="there are several variants for one kind of accelerator: keep one for each kind, whose case does not matter"
	Variants []Variant `json:"variants"`
}

// InferenceProfileStatus is what was observed of the profile.
type InferenceProfileStatus struct {
	// observedGeneration is the generation the rest of the status describes.
	//
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// accelerators are the kinds there are variants for: "GPU,NPU,FPGA,CPU".
	//
	// +optional
	Accelerators string `json:"accelerators,omitempty"`
	// learned are the service times observed so far, one for each kind that
	// pods finished on. Editing a variant starts its kind anew.
	//
	// +optional
	// +listType=map
	// +listMapKey=accelerator
	// +kubebuilder:validation:MaxItems=16
	Learned []LearnedTime `json:"learned,omitempty"`
	// conditions: Usable is False when pods that ask for the profile are refused,
	// and says why.
	//
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// LearnedTime is how long one run takes on one kind, as observed: from the
// start of the inference's container to its end, in pods that succeeded.
type LearnedTime struct {
	// accelerator is the kind the runs were on.
	//
	// +kubebuilder:validation:MaxLength=32
	Accelerator string `json:"accelerator"`

	// time is how long a run is expected to take: the mean of the recent
	// runs, in which none counts for more than four times their median, or
	// for more than a second above it if that is more.
	//
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MinLength=2
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:Pattern=`^([0-9]{1,3}ms|([0-9]{1,4}h)?([0-9]{1,2}m)?([0-9]{1,2}([.][0-9]{1,3})?s)?)$`
	Time metav1.Duration `json:"time"`

	// samples is how many runs there were. From the third on, time replaces
	// the variant's hint.
	//
	// +kubebuilder:validation:Minimum=0
	Samples int64 `json:"samples"`

	// lastObserved is when the latest of them ended.
	LastObserved metav1.Time `json:"lastObserved"`

	// variantHash tells which form of the variant the runs were of: runs of
	// another than the present one do not count.
	//
	// +kubebuilder:validation:MaxLength=64
	VariantHash string `json:"variantHash"`

	// recent are the latest runs, at most 32, oldest first: "80ms 1.2s".
	//
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Recent string `json:"recent,omitempty"`
}

// InferenceProfileList is a list of profiles.
//
// +kubebuilder:object:root=true
type InferenceProfileList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`

	Items []InferenceProfile `json:"items"`
}
