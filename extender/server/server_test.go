package server

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/rs/zerolog"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	extenderv1 "k8s.io/kube-scheduler/extender/v1"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/inventory"
	"heteroaccel.io/pkg/profile"
	"heteroaccel.io/pkg/profile/v1alpha1"
	"heteroaccel.io/pkg/record"
	"heteroaccel.io/pkg/telemetry"
)

const (
	gpu  = "gpu.intel.com/i915"
	npu  = "npu.intel.com/accel"
	fpga = "fpga.intel.com/region"
)

var now = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// testKey seals the records of pods.
var testKey = bytes.Repeat([]byte{7}, 32)

// rig is a served extender and what it reads.
type rig struct {
	*httptest.Server
	inv      *inventory.Inventory
	profiles *profile.Store
	reg      *prometheus.Registry
	missing  atomic.Pointer[string]
	log      bytes.Buffer

	set    func(*corev1.Pod)
	remove func(types.NamespacedName)
}

// pod has the API server show a pod, as kube.Feeds does.
func (r *rig) pod(p *corev1.Pod) {
	r.inv.SetPod(podRecord(p))
	r.set(p)
}

func newRig(tb testing.TB, clock func() time.Time, edits ...func(*Config)) *rig {
	tb.Helper()
	r := &rig{
		inv: inventory.New(inventory.Options{Now: clock}),
		reg: prometheus.NewRegistry(),
	}
	profiles := profile.NewStore()
	for _, p := range []*v1alpha1.InferenceProfile{faces(), texts()} {
		ready, err := profile.New(p)
		if err != nil {
			tb.Fatal(err)
		}
		if p.Name == "face-recognition" {
			p.Status.Learned = []v1alpha1.LearnedTime{
				learned(ready.Variant("GPU"), 57, "80ms 80ms 80ms"),
				learned(ready.Variant("NPU"), 1, "2s"), // too few to be used
			}
			if ready, err = profile.New(p); err != nil {
				tb.Fatal(err)
			}
		}
		profiles.Set(ready)
	}
	r.profiles = profiles
	c := Config{
		Inventory: r.inv,
		FollowPods: func(set func(*corev1.Pod), remove func(types.NamespacedName)) {
			r.set, r.remove = set, remove
		},
		Profiles: profiles,
		Ready: func() error {
			if m := r.missing.Load(); m != nil {
				return errors.New(*m)
			}
			return nil
		},
		Registerer: r.reg,
		Metrics:    promhttp.HandlerFor(r.reg, promhttp.HandlerOpts{}),
		Log:        zerolog.New(zerolog.MultiLevelWriter(zerolog.NewTestWriter(tb), zerolog.SyncWriter(&r.log))),
	}
	for _, edit := range edits {
		edit(&c)
	}
	h, err := New(c)
	if err != nil {
		tb.Fatal(err)
	}
	r.Server = httptest.NewServer(h)
	tb.Cleanup(r.Close)
	return r
}

// learned is what a status says of a variant.
func learned(v *profile.Variant, samples int64, recent string) v1alpha1.LearnedTime {
	return v1alpha1.LearnedTime{
		Accelerator: string(v.Kind), Runs: samples, VariantHash: v.Hash, Recent: recent,
		LastObserved: metav1.NewTime(now.Add(-time.Minute)),
	}
}

func faces() *v1alpha1.InferenceProfile {
	hint := func(d time.Duration) *metav1.Duration { return &metav1.Duration{Duration: d} }
	return &v1alpha1.InferenceProfile{
		ObjectMeta: metav1.ObjectMeta{Name: "face-recognition"},
		Spec: v1alpha1.InferenceProfileSpec{Variants: []v1alpha1.Variant{
			{Accelerator: "GPU", Image: "registry.example/heteroaccel/face-recognition:gpu", Limits: list(gpu, "1"), ServiceTime: hint(76 * time.Millisecond)},
			{Accelerator: "NPU", Image: "registry.example/heteroaccel/face-recognition:npu", Device: "MYRIAD", Limits: list(npu, "1"), ServiceTime: hint(146 * time.Millisecond)},
			{Accelerator: "CPU", Image: "registry.example/heteroaccel/face-recognition:cpu", Limits: list("cpu", "2")},
		}},
	}
}

func texts() *v1alpha1.InferenceProfile {
	return &v1alpha1.InferenceProfile{
		ObjectMeta: metav1.ObjectMeta{Name: "text"},
		Spec: v1alpha1.InferenceProfileSpec{Variants: []v1alpha1.Variant{
			{Accelerator: "FPGA", Image: "registry.example/text:fpga", Device: "HETERO:FPGA,CPU", Limits: list(fpga, "2")},
		}},
	}
}

func list(pairs ...string) corev1.ResourceList {
	l := corev1.ResourceList{}
	for i := 0; i < len(pairs); i += 2 {
		l[corev1.ResourceName(pairs[i])] = resource.MustParse(pairs[i+1])
	}
	return l
}

func (r *rig) node(name string, edit func(*corev1.Node), resources ...string) {
	l := list(append([]string{"cpu", "8", "memory", "16Gi", "pods", "110"}, resources...)...)
	n := &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"room": name}},
		Status:     corev1.NodeStatus{Capacity: l, Allocatable: l},
	}
	if edit != nil {
		edit(n)
	}
	r.inv.SetNode(inventory.NodeOf(n))
}

func (r *rig) sample(node string, age time.Duration, devices ...accel.Device) {
	s := sampleOf(node, devices...)
	s.Time = now.Add(-age)
	r.inv.SetTelemetry(s)
}

func device(kind accel.Kind, id, resource string, edits ...func(*accel.Device)) accel.Device {
	d := accel.Device{Kind: kind, ID: id, Resource: resource, Health: accel.Healthy, Slots: 1}
	for _, edit := range edits {
		edit(&d)
	}
	return d
}

func managed(name, node string, kind accel.Kind, edit func(*corev1.Pod), requests ...string) *corev1.Pod {
	content := fmt.Sprintf(`{"container":"inference","inference":"face-recognition","kind":%q}`, kind)
	original := record.Seal(content, testKey, "default", "")
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "default", Name: name, UID: types.UID("uid-" + name), CreationTimestamp: metav1.NewTime(now.Add(-90 * time.Second)),
			Annotations: map[string]string{
				accel.InferenceAnnotation: "face-recognition",
				accel.SelectedAnnotation:  string(kind),
				accel.ReasonAnnotation:    "GPU is idle (1 of 1 free), a run takes 76ms; NPU idle, 146ms, CPU idle, 1s",
				accel.OriginalAnnotation:  original,
			},
		},
		Spec: corev1.PodSpec{NodeName: node, Containers: []corev1.Container{{
			Name:      "inference",
			Resources: corev1.ResourceRequirements{Requests: list(requests...)},
		}}},
		Status: corev1.PodStatus{Phase: corev1.PodPending},
	}
	if node != "" {
		p.Status.Phase = corev1.PodRunning
	}
	if edit != nil {
		edit(p)
	}
	return p
}

// post sends a body as kube-scheduler does and decodes a 200's.
func (r *rig) post(tb testing.TB, path string, args any, into any) {
	tb.Helper()
	body, err := json.Marshal(args)
	if err != nil {
		tb.Fatal(err)
	}
	resp, err := http.Post(r.URL+path, "application/json", bytes.NewReader(body))
	if err != nil {
		tb.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		tb.Fatal(err)
	}
	if resp.StatusCode != http.StatusOK {
		tb.Fatalf("POST %s: %s: %s", path, resp.Status, answer)
	}
	if err := json.Unmarshal(answer, into); err != nil {
		tb.Fatalf("POST %s: %v in %s", path, err, answer)
	}
}

func (r *rig) filter(tb testing.TB, pod *corev1.Pod, names ...string) extenderv1.ExtenderFilterResult {
	tb.Helper()
	names = append([]string{}, names...) // never null
	var result extenderv1.ExtenderFilterResult
	r.post(tb, "/scheduler/filter", extenderv1.ExtenderArgs{Pod: pod, NodeNames: &names}, &result)
	return result
}

// get reads a path, with header "Accept: application/json" if json is set.
func (r *rig) get(tb testing.TB, path string, edits ...func(*http.Request)) (status int, contentType, body string) {
	tb.Helper()
	req, err := http.NewRequest(http.MethodGet, r.URL+path, nil)
	if err != nil {
		tb.Fatal(err)
	}
	for _, edit := range edits {
		edit(req)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		tb.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		tb.Fatal(err)
	}
	return resp.StatusCode, resp.Header.Get("Content-Type"), string(b)
}

// golden compares with a file of testdata, and writes it when UPDATE_GOLDEN is
// set.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if os.Getenv("UPDATE_GOLDEN") != "" {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(want) != got {
		t.Errorf("%s differs; UPDATE_GOLDEN=1 rewrites it\n--- want\n%s--- got\n%s", path, want, got)
	}
}

func fixed() time.Time { return now }

func nodeNames(n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("node-%05d.edge.example", i)
	}
	return names
}

func podName(p *corev1.Pod) types.NamespacedName {
	return types.NamespacedName{Namespace: p.Namespace, Name: p.Name}
}

func podRecord(p *corev1.Pod) *inventory.Pod { return inventory.PodOf(p, testKey) }

func sampleOf(node string, devices ...accel.Device) telemetry.Scrape {
	return telemetry.Scrape{Node: node, Time: now, Devices: devices, CPUCores: 8, CPUBusy: 2}
}
