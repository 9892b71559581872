package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// InferenceProfile describes how to run one inference on each kind of
// accelerator. A pod names it in the annotation heteroaccel.io/inference, and
// gets the variant whose accelerator is best when the pod is admitted.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:scope=Cluster,shortName=infp,categories=heteroaccel
// +kubebuilder:subresource:status
// +kubebuilder:printcolumn:name="Usable",type=string,JSONPath=`.status.conditions[?(@.type=="Usable")].status`,description="Whether pods can request it and run."
// +kubebuilder:printcolumn:name="Nodes",type=string,JSONPath=`.status.nodes`,description="How many nodes have what each variant takes."
// +kubebuilder:printcolumn:name="Images",type=string,JSONPath=`.status.images`,description="Whether the image of each variant was last pulled, or failed."
// +kubebuilder:printcolumn:name="Learned",type=string,JSONPath=`.status.times`,description="How long a run takes on each kind, as measured."
// +kubebuilder:printcolumn:name="Why",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Usable")].message`,description="Why it is usable or not."
// +kubebuilder:printcolumn:name="Container",type=string,priority=1,JSONPath=`.spec.container`,description="The container that runs the inference."
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type InferenceProfile struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec describes how to run the inference on each kind of accelerator.
	Spec InferenceProfileSpec `json:"spec"`
	// status is what was observed of the profile. The webhook writes it.
	//
	// +optional
	Status InferenceProfileStatus `json:"status,omitempty"`
}

// InferenceProfileSpec describes the program and its variants.
type InferenceProfileSpec struct {
	// namespaceSelector selects by their labels the namespaces whose pods may ask
	// for the inference. Defaults to all. The label kubernetes.io/metadata.name has
	// a namespace's name.
	//
	// +optional
	NamespaceSelector *metav1.LabelSelector `json:"namespaceSelector,omitempty"`

	// container is the name of the container that runs the inference. A pod's
	// annotation heteroaccel.io/container overrides it. In a pod without such a
	// container it is the default container, the one with a device flag or an
	// accelerator, or the only one. If none of these applies the pod is denied.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:XValidation:rule="self.matches('^([a-z0-9]([-a-z0-9]*[a-z0-9])?)?$')",message="this cannot be the name of a container: use lower-case letters, digits and '-'"
	Container string `json:"container,omitempty"`

	// deviceFlags are the command line flags whose value is the OpenVINO
	// device, such as "-d" or "--target_device". The first one that starts with
	// a dash is added to a container that has none. One without a dash is a
	// key: "device" stands for device=GPU as one argument, and is never added.
	// Defaults to ["-d"]. An empty list means that the program has no such flag.
	//
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=8
	// +kubebuilder:validation:items:MaxLength=64
	// +kubebuilder:validation:XValidation:rule="self.all(f, f.matches('^--?[A-Za-z0-9][A-Za-z0-9_.-]*$|^[A-Za-z_][A-Za-z0-9_.-]*$'))",message="a device flag starts with '-', or is the key of key=value, and holds neither spaces nor '=': write it alone, such as \"-d\", \"--target_device\" or \"device\""
	DeviceFlags []string `json:"deviceFlags,omitzero"`

	// conflictingFlags are command line flags that exclude a device flag and the
	// variants' args, because the file they name sets both, such as
	// "--config_path" of OpenVINO Model Server. Nothing is added to a container
	// that has one of them.
	//
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=8
	// +kubebuilder:validation:items:MaxLength=64
	// +kubebuilder:validation:XValidation:rule="self.all(f, f.matches('^--?[A-Za-z0-9][A-Za-z0-9_.-]*$'))",message="a conflicting flag starts with '-' and holds neither spaces nor '=': write it alone, such as \"--config_path\""
	ConflictingFlags []string `json:"conflictingFlags,omitempty"`

	// readsDeviceEnv means that the program reads its device from the environment
	// variable HETEROACCEL_DEVICE, and needs no device flag.
	//
	// +optional
	ReadsDeviceEnv bool `json:"readsDeviceEnv,omitempty"`

	// template is the pod template for requests that have no pod of their own:
	// metadata and spec, as in a Deployment.
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
	// +kubebuilder:validation:MinLength=2
	// +kubebuilder:validation:MaxLength=16
	// +kubebuilder:validation:Pattern=`^([0-9]{1,3}h)?([0-9]{1,4}m)?([0-9]{1,5}s)?$`
	IdleTimeout *metav1.Duration `json:"idleTimeout,omitempty"`

	// serverAddress is the address that the connector gives its clients of a pod
	// made from the template: the pod's own, the node's with the port's hostPort,
	// the node's with the port of a Service of type NodePort, that of a Service of
	// type LoadBalancer, or that of the connector's Gateway with a path. It holds
	// for pods created from then on. Defaults to the connector's --server-address.
	//
	// +optional
	// +kubebuilder:validation:Enum=pod-ip;host-port;node-port;load-balancer;gateway
	ServerAddress string `json:"serverAddress,omitempty"`

	// binding says when the accelerator of a pod is settled. "early" is as the pod is
	// created: it changes by recreating the pod. "late" is as the pod gets a device by
	// dynamic resource allocation: until then it changes without touching the pod, and
	// every variant has a deviceClassName. "auto" is late where there are devices of all
	// these classes. Defaults to what the webhook's --binding says.
	//
	// +optional
	// +kubebuilder:validation:Enum=early;late;auto
	Binding string `json:"binding,omitempty"`

	// deadline is by when after its creation the run of a pod should be done, greater
	// than 0, such as 5s. A kind of accelerator that is not expected to make it is
	// chosen only when none is. A pod's annotation heteroaccel.io/deadline overrides it.
	// Pods that do not end by themselves have no deadline.
	//
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]{1,9}([.][0-9]{1,9})?(ns|us|µs|ms|s)|[0-9]{1,6}([.][0-9]{1,9})?(m|h))+$') && duration(self) > duration('0s')",message="a deadline is a duration greater than 0, such as 5s or 1m30s"
	Deadline *metav1.Duration `json:"deadline,omitempty"`

	// serverMetrics says where the servers of the inference, which do not end by
	// themselves, report how long their inferences take. The webhook reads it, and goes
	// by it for the pods that are servers.
	//
	// +optional
	ServerMetrics *ServerMetrics `json:"serverMetrics,omitempty"`

	// upgrade asks that the servers of the inference are moved to a faster kind once one
	// is idle, as a pod's annotation heteroaccel.io/upgrade does, which overrides it.
	//
	// +optional
	Upgrade bool `json:"upgrade,omitempty"`

	// variants are the ways to run the inference: at most one for each kind of
	// accelerator, and at least one in all. While nothing else is known, each is
	// expected to be slower than the one before it.
	//
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:XValidation:rule="self.size() > 0",message="there are no variants: list at least one, the way this inference runs on one kind of accelerator"
	// +kubebuilder:validation:XValidation:rule="self.all(v, self.exists_one(w, w.accelerator.lowerAscii() == v.accelerator.lowerAscii()))",message="there are several variants for one kind of accelerator: keep one for each kind, whose case does not matter"
	Variants []Variant `json:"variants"`
}

// InferenceProfileList is a list of profiles.
//
// +kubebuilder:object:root=true
type InferenceProfileList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`

	Items []InferenceProfile `json:"items"`
}
