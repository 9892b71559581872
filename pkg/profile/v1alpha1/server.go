package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// ServerMetrics is where a server of the inference reports how long its inferences take,
// in the text format of Prometheus: a sum of times, and how many they were.
//
// +kubebuilder:validation:XValidation:rule="has(self.histogram) ? !has(self.sum) && !has(self.count) : has(self.sum) && has(self.count)",message="name either a histogram, such as ovms_inference_time_us, or both sum and count, such as nv_inference_compute_infer_duration_us and nv_inference_request_success"
type ServerMetrics struct {
	// port is the port of the pod that serves the metrics.
	//
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=65535
	Port int32 `json:"port"`

	// path is where, /metrics if it is not set.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=256
	// +kubebuilder:validation:XValidation:rule="self.matches('^/[-A-Za-z0-9._~/%]*$')",message="a path begins with '/' and has no query: write it as in /metrics"
	Path string `json:"path,omitempty"`

	// histogram is the name of a histogram or summary of the times that inferences
	// took, without a suffix, such as ovms_inference_time_us.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=200
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-zA-Z_:][a-zA-Z0-9_:]*$')",message="this is not the name of a metric: use letters, digits, '_' and ':'"
	Histogram string `json:"histogram,omitempty"`

	// sum is the name of a counter of the time that inferences took in all, such as
	// nv_inference_compute_infer_duration_us.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=200
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-zA-Z_:][a-zA-Z0-9_:]*$')",message="this is not the name of a metric: use letters, digits, '_' and ':'"
	Sum string `json:"sum,omitempty"`

	// count is the name of a counter of these inferences, such as
	// nv_inference_request_success.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=200
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-zA-Z_:][a-zA-Z0-9_:]*$')",message="this is not the name of a metric: use letters, digits, '_' and ':'"
	Count string `json:"count,omitempty"`

	// unit is that of the times. Defaults to s, for seconds.
	//
	// +optional
	// +kubebuilder:validation:Enum=s;ms;us;ns
	Unit string `json:"unit,omitempty"`

	// matchLabels are labels that a series has to have to count, such as the model's
	// name where a server has several. Defaults to none: all series count.
	//
	// +optional
	// +kubebuilder:validation:MaxProperties=8
	// +kubebuilder:validation:XValidation:rule="self.all(name, name.matches('^[a-zA-Z_][a-zA-Z0-9_]*$') && self[name].size() <= 256)",message="the name of a label has letters, digits and '_', and its value at most 256 characters"
	MatchLabels map[string]string `json:"matchLabels,omitempty"`
}

// ServedTime is how long an inference takes on servers of one kind, as they report it.
type ServedTime struct {
	// accelerator is the kind the servers are on.
	//
	// +kubebuilder:validation:MaxLength=32
	Accelerator string `json:"accelerator"`

	// load is how busy they were: light where on average less than half an inference
	// was under way, else busy.
	//
	// +kubebuilder:validation:Enum=light;busy
	Load string `json:"load"`

	// time is how long an inference takes, or of a server that does several at once,
	// after how long the next is done: the median of the namespaces' times, each of them
	// the mean of its recent readings, as for learned times. From three readings on
	// decisions about servers go by it, within the same bounds.
	//
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MinLength=2
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:Pattern=`^([0-9]{1,3}h)?([0-9]{1,2}m)?([0-9]{1,3}([.][0-9]{1,6})?(µs|ms|s))?$`
	Time metav1.Duration `json:"time"`

	// readings is how many there were in all, each of one server, over half a minute or
	// longer and ten inferences or more.
	//
	// +kubebuilder:validation:Minimum=0
	Readings int64 `json:"readings"`

	// lastObserved is when the latest was.
	LastObserved metav1.Time `json:"lastObserved"`

	// variantHash identifies the form of the variant that was measured. Readings of any
	// form but the current one do not count.
	//
	// +kubebuilder:validation:MaxLength=64
	VariantHash string `json:"variantHash"`

	// namespaces are the readings, by the namespace of the servers: of each, how long a
	// thousand inferences took.
	//
	// +optional
	// +listType=map
	// +listMapKey=id
	// +kubebuilder:validation:MaxItems=8
	Namespaces []NamespaceRuns `json:"namespaces,omitempty"`
}
