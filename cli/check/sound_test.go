package check

import (
	"os"
	"sync"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"heteroaccel.io/cli/pages"
	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/profile/v1alpha1"
)

const gpu = "gpu.intel.com/i915"

// sound is a cluster of one node with a GPU in which everything is right.
func sound(t *testing.T) *Cluster {
	t.Helper()
	ready := []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}
	image := Workload{Image: "registry.example:5000/heteroaccel/heteroaccel:v0.1.0"}
	c := &Cluster{
		System: "heteroaccel-system", Exporters: "heteroaccel-exporter", Namespace: "default", Version: "v0.1.0", Release: true,
		Server:   Read("v1.37.2", nil),
		CRD:      Read(shippedCRD(t), nil),
		Profiles: Read([]v1alpha1.InferenceProfile{*usable("face-recognition", gpu, "npu.intel.com/accel")}, nil),
		Nodes:    Read([]corev1.Node{*node("g", gpu)}, nil),
		Registration: Read(&admissionv1.MutatingWebhookConfiguration{Webhooks: []admissionv1.MutatingWebhook{{
			FailurePolicy: new(admissionv1.Fail),
			ClientConfig:  admissionv1.WebhookClientConfig{Service: &admissionv1.ServiceReference{Name: Webhook}, CABundle: []byte("a CA")},
		}}}, nil),
		Policy: Read(&admissionv1.ValidatingAdmissionPolicy{}, nil),
		Binding: Read(&admissionv1.ValidatingAdmissionPolicyBinding{Spec: admissionv1.ValidatingAdmissionPolicyBindingSpec{
			PolicyName: BackstopName, ValidationActions: []admissionv1.ValidationAction{admissionv1.Deny},
		}}, nil),
		Programs: map[string]Fact[Workload]{
			Webhook: Read(image, nil), Extender: Read(image, nil), Exporter: Read(image, nil), Connector: {Err: errMissing},
		},
		Ready:        map[string]Fact[int]{Webhook: Read(1, nil), Extender: Read(1, nil)},
		ExporterPods: Read([]corev1.Pod{{Spec: corev1.PodSpec{NodeName: "g"}, Status: corev1.PodStatus{Conditions: ready}}}, nil),
		Replicas:     Read([]pages.Replica{{Name: "extender-1", Nodes: []pages.Node{page(t, `{"name":"g","telemetry":{"ageSeconds":2,"fresh":true},"devices":[{"kind":"GPU","id":"0000:00:02.0","resource":"gpu.intel.com/i915","healthy":true}]}`)}}}, nil),
		Mutated:      Read(&corev1.Pod{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{accel.InferenceAnnotation: "face-recognition", accel.SelectedAnnotation: "GPU", accel.OriginalAnnotation: "sealed"}}}, nil),
		Unknown:      Fact[*corev1.Pod]{Err: errDenied},
		Canary:       Canary{Resource: gpu, Node: "g", Answers: []pages.Asked{{Asked: "yes", Message: "asked 0s ago about 1 node: 1 passed, 0 rejected"}}, Last: time.Minute, LastPod: "default/a"},
	}
	c.Rights.Value = Needed(c.System, nil, nil)
	for i := range c.Rights.Value {
		c.Rights.Value[i].Allowed = true
	}
	return c
}

// readCRD reads the one in the manifests, as the API server serves it, once.
var readCRD = sync.OnceValues(func() (*apiextensionsv1.CustomResourceDefinition, error) {
	data, err := os.ReadFile("../../deploy/base/crd/heteroaccel.io_inferenceprofiles.yaml")
	if err != nil {
		return nil, err
	}
	var crd apiextensionsv1.CustomResourceDefinition
	crd.Status.Conditions = []apiextensionsv1.CustomResourceDefinitionCondition{{Type: apiextensionsv1.Established, Status: apiextensionsv1.ConditionTrue}}
	return &crd, yaml.UnmarshalStrict(data, &crd)
})

func shippedCRD(t *testing.T) *apiextensionsv1.CustomResourceDefinition {
	t.Helper()
	crd, err := readCRD()
	if err != nil {
		t.Fatal(err)
	}
	return crd.DeepCopy()
}

// usable is a profile with a variant for each resource.
func usable(name string, resources ...string) *v1alpha1.InferenceProfile {
	p := &v1alpha1.InferenceProfile{
		ObjectMeta: metav1.ObjectMeta{Name: name, Generation: 1},
		Status: v1alpha1.InferenceProfileStatus{Conditions: []metav1.Condition{{
			Type: "Usable", Status: metav1.ConditionTrue, ObservedGeneration: 1,
		}}},
	}
	for i, r := range resources {
		p.Spec.Variants = append(p.Spec.Variants, v1alpha1.Variant{
			Accelerator: []string{"GPU", "NPU", "FPGA"}[i], Image: "example.com/x:v1", Device: "X",
			Limits: map[corev1.ResourceName]v1alpha1.Amount{corev1.ResourceName(r): resource.MustParse("1")},
		})
	}
	return p
}

// node has one device of each resource.
func node(name string, resources ...string) *corev1.Node {
	n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{corev1.LabelOSStable: "linux"}}}
	n.Status.Allocatable = corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("8")}
	for _, r := range resources {
		n.Status.Allocatable[corev1.ResourceName(r)] = resource.MustParse("1")
	}
	n.Status.Capacity = n.Status.Allocatable.DeepCopy()
	return n
}

// page is a node as the extender's page has it.
func page(t *testing.T, json string) (n pages.Node) {
	t.Helper()
	if err := yaml.Unmarshal([]byte(json), &n); err != nil {
		t.Fatal(err)
	}
	return n
}
