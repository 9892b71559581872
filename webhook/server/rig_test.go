package server

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	jsonpatch "gopkg.in/evanphx/json-patch.v4"
	admissionv1 "k8s.io/api/admission/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/inventory"
	"heteroaccel.io/pkg/policy"
	"heteroaccel.io/pkg/profile"
	"heteroaccel.io/pkg/profile/v1alpha1"
	"heteroaccel.io/pkg/record"
	"heteroaccel.io/webhook/refusals"
)

// The paper's kinds as extended resources.
const (
	gpu  = "gpu.intel.com/i915"
	npu  = "vpu.intel.com/hddl"
	fpga = "fpga.intel.com/arria10.dcp1.2-nlb0"
)

// testKey seals the records.
var testKey = record.NewKeys([]byte(strings.Repeat("k", 32)))

// rig is a webhook over an inventory that the test fills.
type rig struct {
	inv *inventory.Inventory
	srv *Server
	url string
	// handler is what url serves.
	handler http.Handler
	now     *time.Time // the inventory's clock
}

func newRig(t testing.TB, options ...func(*Config)) *rig {
	t.Helper()
	now := time.Unix(1_700_000_000, 0)
	r := newRigOver(t, inventory.New(inventory.Options{Now: func() time.Time { return now }}), options...)
	r.now = &now
	return r
}

// newRigOver is a rig whose inventory keeps its own time.
func newRigOver(t testing.TB, inv *inventory.Inventory, options ...func(*Config)) *rig {
	t.Helper()
	r := &rig{inv: inv}
	profiles := profile.NewStore()
	for _, name := range []string{"face-recognition", "text-recognition"} {
		p, err := profile.New(paperProfile(name))
		if err != nil {
			t.Fatal(err)
		}
		profiles.Set(p)
	}
	c := Config{
		Inventory: r.inv, Profiles: profiles, Policy: policy.EarliestFinish,
		Refusals: refusals.New(func() time.Time { return inv.Now() }),
		Keys:     func() *record.Keys { return testKey },
		Registry: prometheus.NewRegistry(),
		Log:      zerolog.Nop(),
	}
	for _, o := range options {
		o(&c)
	}
	srv, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	r.srv = srv
	srv.Begin(context.Background()) // for as long as it is there
	r.handler = srv.Handler()
	s := httptest.NewServer(r.handler)
	t.Cleanup(s.Close)
	r.url = s.URL
	return r
}

func paperProfile(name string) *v1alpha1.InferenceProfile {
	variant := func(kind, device, resourceName, amount string, took time.Duration) v1alpha1.Variant {
		return v1alpha1.Variant{
			Accelerator: kind, Image: "heteroaccel/" + name + ":" + strings.ToLower(kind), Device: device,
			Limits:      map[corev1.ResourceName]v1alpha1.Amount{corev1.ResourceName(resourceName): resource.MustParse(amount)},
			ServiceTime: &metav1.Duration{Duration: took},
		}
	}
	return &v1alpha1.InferenceProfile{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: v1alpha1.InferenceProfileSpec{
			Container: "inference",
			Variants: []v1alpha1.Variant{
				variant("CPU", "CPU", "cpu", "2", 529*time.Millisecond),
				variant("GPU", "GPU", gpu, "1", 76*time.Millisecond),
				variant("FPGA", "HETERO:FPGA,CPU", fpga, "1", 250*time.Millisecond),
				variant("NPU", "MYRIAD", npu, "1", 146*time.Millisecond),
			},
		},
	}
}

// node adds a node with 8 cores and devices of one resource.
func (r *rig) node(name, resourceName string, devices int) {
	list := corev1.ResourceList{
		corev1.ResourceCPU: resource.MustParse("8"), corev1.ResourceMemory: resource.MustParse("16Gi"), corev1.ResourcePods: resource.MustParse("110"),
	}
	if devices > 0 {
		list[corev1.ResourceName(resourceName)] = *resource.NewQuantity(int64(devices), resource.DecimalSI)
	}
	r.inv.SetNode(inventory.NodeOf(&corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"kubernetes.io/hostname": name}},
		Status:     corev1.NodeStatus{Allocatable: list, Capacity: list},
	}))
}

// paper adds the paper's nodes.
func (r *rig) paper() *rig {
	r.node("g", gpu, 1)
	r.node("f", fpga, 1)
	r.node("n", npu, 1)
	return r
}

// pod is an annotated pod of the README.
func pod(name, inference, kinds string, change ...func(*corev1.Pod)) *corev1.Pod {
	p := &corev1.Pod{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"},
		ObjectMeta: metav1.ObjectMeta{
			Name: name, Namespace: "default",
			Annotations: map[string]string{accel.InferenceAnnotation: inference, accel.AcceleratorAnnotation: kinds},
		},
		Spec: corev1.PodSpec{Containers: []corev1.Container{{
			Name: "inference", Image: "app", Command: []string{"bash", "-c", "./app -d GPU && sleep 9"},
		}}},
	}
	for _, c := range change {
		c(p)
	}
	return p
}

// reviewOf is the AdmissionReview the API server sends for a pod, made with
// its own types.
func reviewOf(t testing.TB, p *corev1.Pod, change ...func(*admissionv1.AdmissionRequest)) []byte {
	t.Helper()
	raw, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	dry := false
	review := admissionv1.AdmissionReview{
		TypeMeta: metav1.TypeMeta{APIVersion: "admission.k8s.io/v1", Kind: "AdmissionReview"},
		Request: &admissionv1.AdmissionRequest{
			UID:         types.UID("uid-" + p.Name),
			Kind:        metav1.GroupVersionKind{Version: "v1", Kind: "Pod"},
			Resource:    metav1.GroupVersionResource{Version: "v1", Resource: "pods"},
			RequestKind: &metav1.GroupVersionKind{Version: "v1", Kind: "Pod"},
			Name:        p.Name, Namespace: p.Namespace, Operation: admissionv1.Create, DryRun: &dry,
			Object: runtime.RawExtension{Raw: raw},
		},
	}
	for _, c := range change {
		c(review.Request)
	}
	body, err := json.Marshal(review)
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// post sends a body and returns the status and the answer.
func (r *rig) post(t testing.TB, body []byte) (int, string) {
	t.Helper()
	status, answer, err := r.try(body)
	if err != nil {
		t.Fatal(err)
	}
	return status, answer
}

func (r *rig) try(body []byte) (int, string, error) {
	resp, err := http.Post(r.url+"/mutate", "application/json", strings.NewReader(string(body)))
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(answer), err
}

// admit sends a pod's review and applies the patch as the API server would.
func (r *rig) admit(t testing.TB, p *corev1.Pod, change ...func(*admissionv1.AdmissionRequest)) (*corev1.Pod, *admissionv1.AdmissionResponse) {
	t.Helper()
	out, resp, err := r.admitted(p, reviewOf(t, p, change...))
	if err != nil {
		t.Fatal(err)
	}
	return out, resp
}

func (r *rig) admitted(p *corev1.Pod, body []byte) (*corev1.Pod, *admissionv1.AdmissionResponse, error) {
	status, answer, err := r.try(body)
	if err != nil {
		return nil, nil, err
	}
	return patched(p, status, answer)
}

// patched applies the patch of an answer to a pod.
func patched(p *corev1.Pod, status int, answer string) (*corev1.Pod, *admissionv1.AdmissionResponse, error) {
	var review admissionv1.AdmissionReview
	if err := json.Unmarshal([]byte(answer), &review); err != nil || status != http.StatusOK {
		return nil, nil, fmt.Errorf("status %d, %w: %s", status, err, answer)
	}
	resp := review.Response
	if resp.UID != types.UID("uid-"+p.Name) || review.APIVersion != "admission.k8s.io/v1" || review.Kind != "AdmissionReview" {
		return nil, nil, fmt.Errorf("not an answer to this review: %s", answer)
	}
	if !resp.Allowed || len(resp.Patch) == 0 {
		return p, resp, nil
	}
	raw, err := json.Marshal(p)
	if err != nil {
		return nil, nil, err
	}
	patch, err := jsonpatch.DecodePatch(resp.Patch)
	if err != nil {
		return nil, nil, fmt.Errorf("%w in %s", err, base64.StdEncoding.EncodeToString(resp.Patch))
	}
	applied, err := patch.Apply(raw)
	if err != nil {
		return nil, nil, fmt.Errorf("apply %s: %w", resp.Patch, err)
	}
	var out corev1.Pod
	if err := json.Unmarshal(applied, &out); err != nil {
		return nil, nil, err
	}
	return &out, resp, nil
}

// arrives shows the inventory an admitted pod, bound to node if that is set.
func (r *rig) arrives(p *corev1.Pod, node string) {
	q := p.DeepCopy()
	q.Spec.NodeName = node
	r.inv.SetPod(inventory.PodOf(q, testKey))
}
