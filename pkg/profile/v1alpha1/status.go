package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// InferenceProfileStatus is what was observed of the profile.
type InferenceProfileStatus struct {
	// observedGeneration is the generation the rest of the status describes.
	//
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// accelerators are the kinds that have a variant, such as "GPU,NPU,CPU".
	//
	// +optional
	Accelerators string `json:"accelerators,omitempty"`
	// variants say, for each kind, where the variant can run and what became of its
	// image.
	//
	// +optional
	// +listType=map
	// +listMapKey=accelerator
	// +kubebuilder:validation:MaxItems=16
	Variants []VariantStatus `json:"variants,omitempty"`
	// nodes are how many nodes have what each variant takes, such as
	// "GPU:2,NPU:0,CPU:5".
	//
	// +optional
	Nodes string `json:"nodes,omitempty"`
	// images are what became of each variant's image last, such as
	// "GPU:pulled,NPU:failed,CPU:-".
	//
	// +optional
	Images string `json:"images,omitempty"`
	// times are how long a run takes on each kind, as measured, such as
	// "GPU:76ms,CPU:529ms".
	//
	// +optional
	Times string `json:"times,omitempty"`
	// learned are the service times measured so far, one for each kind on which
	// pods succeeded. Editing a variant drops what was learned of it, and the
	// annotation heteroaccel.io/reset-learned all of it.
	//
	// +optional
	// +listType=map
	// +listMapKey=accelerator
	// +kubebuilder:validation:MaxItems=16
	Learned []LearnedTime `json:"learned,omitempty"`
	// served is how long an inference takes on servers of each kind, as they report it
	// where serverMetrics says.
	//
	// +optional
	// +listType=map
	// +listMapKey=accelerator
	// +listMapKey=load
	// +kubebuilder:validation:MaxItems=32
	Served []ServedTime `json:"served,omitempty"`
	// learnedReset is the value of the annotation heteroaccel.io/reset-learned for
	// which what had been learned was last dropped, or a digest of it if it is
	// long. Another value of the annotation drops it again.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=80
	LearnedReset string `json:"learnedReset,omitempty"`
	// learnedSince is when that was: pods that were created before it are not
	// learned from.
	//
	// +optional
	LearnedSince *metav1.Time `json:"learnedSince,omitempty"`
	// conditions has Usable, False with the reason Invalid when pods that request the
	// profile are denied, with NoNode when no node has what any of its variants takes,
	// and with NoImage when of each variant that a node could run the image could not
	// be pulled, and never was. A
	// profile that names a deviceClassName, or whose binding is late or auto, has
	// LateBinding too, False when its pods are bound early all the same. The message
	// of each says why.
	//
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// VariantStatus is what was observed of one variant.
type VariantStatus struct {
	// accelerator is the variant's kind.
	//
	// +kubebuilder:validation:MaxLength=32
	Accelerator string `json:"accelerator"`
	// nodes is how many nodes have what the variant limits, and the labels of its
	// nodeSelector, whether it is free now or not. Taints and cordons are not looked at.
	//
	// +kubebuilder:validation:Minimum=0
	Nodes int32 `json:"nodes"`
	// image is the image that the rest is about: that of the variant.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=512
	Image string `json:"image,omitempty"`
	// imagePulled is when a container last had the image, to within ten minutes.
	//
	// +optional
	ImagePulled *metav1.Time `json:"imagePulled,omitempty"`
	// imageFailed is when a kubelet last could not get the image, to within ten
	// minutes.
	//
	// +optional
	ImageFailed *metav1.Time `json:"imageFailed,omitempty"`
	// imageError is why, in the kubelet's words; "" once it was pulled since.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	ImageError string `json:"imageError,omitempty"`
}

// LearnedTime is how long one run takes on one kind, measured from the start to
// the end of the inference's container in pods that succeeded.
type LearnedTime struct {
	// accelerator is the kind the runs were on.
	//
	// +kubebuilder:validation:MaxLength=32
	Accelerator string `json:"accelerator"`

	// time is how long a run takes: the median of the namespaces' times, each of
	// them the mean of its recent runs, of which none counts for more than four
	// times their median, or one second above it if that is more. Decisions go by
	// four times the variant's serviceTime at most, and a quarter of it at least,
	// until three namespaces measured more, or less.
	//
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MinLength=2
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:Pattern=`^([0-9]{1,3}ms|([0-9]{1,4}h)?([0-9]{1,2}m)?([0-9]{1,2}([.][0-9]{1,3})?s)?)$`
	Time metav1.Duration `json:"time"`

	// runs is how many runs were measured in all. From three on, time
	// replaces the variant's serviceTime.
	//
	// +kubebuilder:validation:Minimum=0
	Runs int64 `json:"runs"`

	// lastObserved is when the latest run ended.
	LastObserved metav1.Time `json:"lastObserved"`

	// variantHash identifies the form of the variant that was measured. Runs of
	// any form but the current one do not count.
	//
	// +kubebuilder:validation:MaxLength=64
	VariantHash string `json:"variantHash"`

	// namespaces are the runs that were measured, by the namespace of their pods.
	//
	// +optional
	// +listType=map
	// +listMapKey=id
	// +kubebuilder:validation:MaxItems=8
	Namespaces []NamespaceRuns `json:"namespaces,omitempty"`

	// recent are runs that an earlier version recorded, without their namespaces.
	// It is read, and not written any more.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Recent string `json:"recent,omitempty"`
}

// NamespaceRuns are the runs of one variant in one namespace.
type NamespaceRuns struct {
	// id stands for the namespace: a code of its name and the profile's, made with
	// the webhook's key, so that nobody else can tell which namespace it is.
	// "earlier" are runs that an earlier version recorded.
	//
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=32
	ID string `json:"id"`

	// runs is how many runs were measured in all.
	//
	// +kubebuilder:validation:Minimum=0
	Runs int64 `json:"runs"`

	// lastObserved is when the latest run ended.
	LastObserved metav1.Time `json:"lastObserved"`

	// recent are the durations of the latest runs, at most 32, oldest first, such
	// as "80ms 1.2s".
	//
	// +kubebuilder:validation:MaxLength=1024
	Recent string `json:"recent"`
}
