package server

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	jsonpatch "gopkg.in/evanphx/json-patch.v4"
	admissionv1 "k8s.io/api/admission/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/serve/servetest"
)

// FuzzReview holds the decoder of reviews against encoding/json on the same types:
// whatever both accept they read alike. What encoding/json cannot parse is refused,
// but for escapes in strings that nobody reads, which the API server never sends
// and sonic does not look at.
func FuzzReview(f *testing.F) {
	f.Add(reviewOf(f, pod("camera-1", "face-recognition", "gpu,npu")))
	for _, seed := range []string{
		``, `null`, `{"request":{"uid":"a","object":null}}`,
		`{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{"uid":"\ud800","operation":"CREATE","resource":{"resource":"pods"},"object":{"metadata":{"annotations":null},"spec":{"containers":[{"resources":{"limits":{"cpu":1}}}]}}}}`,
		`{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{"uid":"a","operation":"DELETE","object":null,"Object":{"SPEC":{"nodeName":"a"}}}}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		got, err := decode(bytes.Clone(body))
		if err != nil {
			if !utf8.ValidString(err.Error()) || len(err.Error()) > 200 {
				t.Fatalf("message: %q", err)
			}
			return
		}
		if !json.Valid(body) {
			if body = servetest.CorrectEscapes(body); !json.Valid(body) {
				t.Fatalf("accepted what is not JSON: %q", body)
			}
		}
		var want review
		if json.Unmarshal(body, &want) == nil && !reflect.DeepEqual(&want, got) {
			t.Errorf("(-encoding/json +ours):\n%s", cmp.Diff(&want, got))
		}
	})
}

// FuzzAdmit sends pods as the API server has them, of any content, and holds the
// answer: one sentence, or a patch of bounded size that makes a pod of the pod, and
// of which a second review has nothing to change.
func FuzzAdmit(f *testing.F) {
	r := newRig(f).paper()
	handler := r.srv.Handler()
	for _, p := range []*corev1.Pod{
		pod("camera-1", "face-recognition", "gpu,npu"),
		pod("camera-2", "text-recognition", "any", func(p *corev1.Pod) {
			p.Spec.InitContainers = []corev1.Container{{Name: "first", Command: []string{"sh"}}}
			p.Spec.Containers[0].Env = []corev1.EnvVar{{Name: "HETEROACCEL_DEVICE", Value: "$(A)"}, {Name: "A"}}
			p.Spec.Containers[0].Resources.Limits = corev1.ResourceList{"cpu": resource.MustParse("1500m"), gpu: resource.MustParse("1")}
			p.Spec.Containers[0].Args = []string{"-d", "GPU"}
			p.Spec.Tolerations = []corev1.Toleration{{Key: "a", Operator: corev1.TolerationOpExists}}
			p.Spec.NodeSelector = map[string]string{"kubernetes.io/hostname": "f"}
		}),
		pod("camera-3", "none", "cpu", func(p *corev1.Pod) { p.Annotations[accel.OriginalAnnotation] = "x {}" }),
	} {
		raw, err := json.Marshal(p)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw, false)
		f.Add(raw, true)
	}
	f.Fuzz(func(t *testing.T, object []byte, dryRun bool) {
		var p corev1.Pod
		if json.Unmarshal(object, &p) != nil {
			return
		}
		*r.now = r.now.Add(time.Hour) // the earlier reservations have expired
		raw, resp := reviewed(t, handler, &p, dryRun)
		if !resp.Allowed {
			if m := resp.Result.Message; m == "" || len(m) > 8<<10 || !utf8.ValidString(m) {
				t.Errorf("a message of %d bytes: %q", len(m), m)
			}
			return
		}
		if len(resp.Patch) == 0 {
			return
		}
		if most := 4*len(raw) + 64<<10; len(resp.Patch) > most {
			t.Errorf("a patch of %d bytes for a pod of %d", len(resp.Patch), len(raw))
		}
		patch, err := jsonpatch.DecodePatch(resp.Patch)
		if err != nil {
			t.Fatalf("%v in %s", err, resp.Patch)
		}
		patched, err := patch.Apply(raw)
		if err != nil {
			t.Fatalf("apply %s: %v", resp.Patch, err)
		}
		var after corev1.Pod
		if err := json.Unmarshal(patched, &after); err != nil {
			t.Fatalf("%v in %s", err, patched)
		}
		// A dry run reserves nothing that a second one could find again.
		_, again := reviewed(t, handler, &after, dryRun)
		if changed := again.Patch; !again.Allowed || len(changed) > 0 && (!dryRun || !onlyReserves(t, changed)) {
			t.Errorf("a second review says %+v, patch %s, after %s", again.Result, changed, resp.Patch)
		}
	})
}

// onlyReserves reports whether all that a patch changes is the reservation, and the
// record that is sealed with it.
func onlyReserves(t *testing.T, patch []byte) bool {
	t.Helper()
	var ops []struct{ Path string }
	if err := json.Unmarshal(patch, &ops); err != nil {
		t.Fatal(err)
	}
	for _, op := range ops {
		if _, name, _ := strings.Cut(op.Path, "~1"); name != "reservation" && name != "original" {
			return false
		}
	}
	return true
}

// reviewed sends a pod's review to the handler, without a connection, and returns
// the pod as it was in it, with the response.
func reviewed(t *testing.T, handler http.Handler, p *corev1.Pod, dryRun bool) ([]byte, *admissionv1.AdmissionResponse) {
	t.Helper()
	raw, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	const before = `{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{"uid":"u","operation":"CREATE","resource":{"version":"v1","resource":"pods"},"namespace":"default",`
	body := append([]byte(before), `"dryRun":false,"object":`...)
	if dryRun {
		body = append([]byte(before), `"dryRun":true,"object":`...)
	}
	body = append(append(body, raw...), "}}"...)
	req := httptest.NewRequest(http.MethodPost, "/mutate", bytes.NewReader(body))
	req.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, req)
	var review admissionv1.AdmissionReview
	if err := json.Unmarshal(w.Body.Bytes(), &review); err != nil || w.Code != http.StatusOK || review.Response == nil || review.Response.UID != "u" {
		t.Fatalf("status %d, %v: %s", w.Code, err, w.Body)
	}
	return raw, review.Response
}
