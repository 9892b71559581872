package server

import (
	"net/http"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	admissionv1 "k8s.io/api/admission/v1"
	corev1 "k8s.io/api/core/v1"

	"heteroaccel.io/pkg/inventory"
)

func TestEventFits(t *testing.T) {
	m := &inventory.Managed{Inference: "x", Kind: "GPU", Reason: strings.Repeat("é", 1000)}
	if n := explain(m); len(n) > 1024 || !utf8.ValidString(n) || !strings.HasSuffix(n, "é…") {
		t.Errorf("%d bytes, ending in %q", len(n), n[len(n)-10:])
	}
}

func TestMetricsAreWellNamed(t *testing.T) {
	registry := prometheus.NewRegistry()
	r := newRig(t, func(c *Config) { c.Registry = registry }).paper()
	r.admit(t, pod("p", "face-recognition", "any"))
	problems, err := testutil.GatherAndLint(registry)
	if err != nil || len(problems) > 0 {
		t.Errorf("%v, %v", problems, err)
	}
}

func TestNotOurs(t *testing.T) {
	r := newRig(t).paper()
	for name, body := range map[string][]byte{
		"no annotation": reviewOf(t, pod("p", "x", "any", func(p *corev1.Pod) { p.Annotations = nil })),
		"one bare key":  reviewOf(t, pod("p", "x", "any", func(p *corev1.Pod) { p.Annotations = map[string]string{"inference": "x"} })),
		"a static pod's mirror": reviewOf(t, pod("door-camera-g", "nonsense", "any", func(p *corev1.Pod) {
			p.Annotations[corev1.MirrorPodAnnotationKey] = "7a59cd048f86ed600cb60ce139d6c6a7"
			p.Spec.NodeName = "g"
		})),
		"an update":     reviewOf(t, pod("p", "nonsense", "any"), func(q *admissionv1.AdmissionRequest) { q.Operation = admissionv1.Update }),
		"a subresource": reviewOf(t, pod("p", "nonsense", "any"), func(q *admissionv1.AdmissionRequest) { q.SubResource = "binding" }),
	} {
		t.Run(name, func(t *testing.T) {
			if status, answer := r.post(t, body); status != http.StatusOK || !strings.Contains(answer, `"allowed":true`) || strings.Contains(answer, "patch") {
				t.Errorf("%d: %s", status, answer)
			}
		})
	}
}

// TestMalformed sends what no API server would: each is a 4xx with a sentence.
func TestMalformed(t *testing.T) {
	r := newRig(t).paper()
	good := string(reviewOf(t, pod("p", "face-recognition", "any")))
	for name, c := range map[string]struct {
		body string
		want int
	}{
		"empty":           {"", 400},
		"garbage":         {"\x00\xff{{{", 400},
		"wrong type":      {`[]`, 400},
		"wrong kind":      {`{"apiVersion":"v1","kind":"Pod"}`, 400},
		"old version":     {strings.Replace(good, "admission.k8s.io/v1", "admission.k8s.io/v1beta1", 1), 400},
		"no request":      {`{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview"}`, 400},
		"no object":       {`{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{"uid":"1","operation":"CREATE","resource":{"resource":"pods"}}}`, 400},
		"bad quantity":    {strings.Replace(good, `"resources":{}`, `"resources":{"limits":{"cpu":"a lot"}}`, 1), 400},
		"cut off":         {good[:len(good)/2], 400},
		"deeply nested":   {strings.Repeat(`{"a":`, 100_000), 400},
		"larger than all": {strings.Repeat(" ", maxReview+1), 413},
	} {
		t.Run(name, func(t *testing.T) {
			status, answer := r.post(t, []byte(c.body))
			if status != c.want || !strings.Contains(answer, `"error":"`) {
				t.Errorf("status %d, want %d: %.300s", status, c.want, answer)
			}
		})
	}
	resp, err := http.Get(r.url + "/mutate")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("GET: %s, want 405", resp.Status)
	}
}
