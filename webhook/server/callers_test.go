package server

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admission/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/inventory"
	"heteroaccel.io/webhook/mutate"
	"heteroaccel.io/webhook/refusals"
)

// moment is after how long nothing that somebody who is not the API server posted
// counts against anybody's pods: docs/security.md states it.
const moment = 10 * time.Second

// over posts a body over a connection, and returns status and answer.
func (r *rig) over(connection string, body []byte) (int, string) {
	req := httptest.NewRequest(http.MethodPost, "/mutate", strings.NewReader(string(body)))
	req.Header.Set("Content-Type", "application/json")
	req.RemoteAddr = connection
	w := httptest.NewRecorder()
	r.handler.ServeHTTP(w, req)
	return w.Code, w.Body.String()
}

// admitOver is admit over a connection.
func (r *rig) admitOver(t testing.TB, connection string, p *corev1.Pod) *corev1.Pod {
	t.Helper()
	status, answer := r.over(connection, reviewOf(t, p))
	out, resp, err := patched(p, status, answer)
	if err != nil {
		t.Fatal(err)
	}
	if !resp.Allowed {
		t.Fatalf("refused: %s", resp.Result.Message)
	}
	return out
}

// forged is a review that the API server never sent, of a pod that will never be.
func forged(t testing.TB, i int, namespace string) []byte {
	return reviewOf(t, pod(fmt.Sprint("forged-", i), "face-recognition", "gpu,npu,fpga"), func(q *admissionv1.AdmissionRequest) { q.Namespace = namespace })
}

// TestForgedReviews: somebody who is not the API server posts reviews all the time,
// from the start on. Pods that are created meanwhile are not refused, and after the
// moment each gets what it would get without them.
func TestForgedReviews(t *testing.T) {
	// Longer than a reservation, or than the moment.
	const long, short = 35 * time.Second, 14 * time.Second
	bodies := map[string][]byte{}
	for name, c := range map[string]struct {
		every, lasts time.Duration
		namespaces   int
		foreign      bool // not the namespace of the honest pods
		fresh        bool // a connection for each
	}{
		"one each 10 s":                        {10 * time.Second, long, 1, false, false},
		"one each 10 s, a connection for each": {10 * time.Second, long, 1, false, true},
		"one each 10 s, everywhere":            {10 * time.Second, long, 1000, true, true},
		"1 a second":                           {time.Second, long, 1, false, true},
		"10 a second, in another namespace":    {100 * time.Millisecond, short, 1, true, false},
		"100 a second":                         {10 * time.Millisecond, short, 1, false, true},
		"100 a second, everywhere":             {10 * time.Millisecond, short, 1000, true, true},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t).paper()
			r.inv.SetNamespace("default")
			for i := range c.namespaces {
				r.inv.SetNamespace(fmt.Sprint("ns-", i))
			}
			start := *r.now
			posted, created := 0, 0
			for next, honest := start, start; r.now.Sub(start) < c.lasts; {
				if next.After(honest) {
					*r.now = honest
					honest = honest.Add(3 * time.Second)
					p := r.admitOver(t, "the API server", pod(fmt.Sprint("honest-", created), "face-recognition", "any"))
					created++
					if r.now.Sub(start) > moment && selected(p) != "GPU" {
						t.Errorf("after %s a pod got %s: %s", r.now.Sub(start), selected(p), p.Annotations[accel.ReasonAnnotation])
					}
					r.arrives(p, "g")
					r.inv.DeletePod("default", p.Name) // all is idle again
					continue
				}
				*r.now = next
				next = next.Add(c.every)
				namespace, connection := "default", "somebody"
				if c.foreign {
					namespace = fmt.Sprint("ns-", posted%c.namespaces)
				}
				if c.fresh {
					connection = fmt.Sprint("somebody ", posted)
				}
				if bodies[namespace] == nil {
					bodies[namespace] = forged(t, 0, namespace)
				}
				if status, answer := r.over(connection, bodies[namespace]); status != http.StatusOK {
					t.Fatalf("%d %s", status, answer)
				}
				posted++
			}
			if posted < int(c.lasts/c.every) || created < int(c.lasts/(3*time.Second)) {
				t.Errorf("%d were posted and %d pods created", posted, created)
			}
		})
	}
}

// TestForgedOutcome: what was posted keeps nothing idle from a pod that waits, once
// the moment is over.
func TestForgedOutcome(t *testing.T) {
	for name, n := range map[string]int{"a few": 3, "many": 300} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t).paper()
			for i := range n {
				r.over("somebody", forged(t, i, "default"))
			}
			claimed := func() int64 {
				p, req := pod("p", "face-recognition", "gpu"), accel.Request{Inference: "face-recognition", Kinds: []accel.Kind{"GPU"}}
				_, options, err := r.srv.source().Of("default", &mutate.Pod{Spec: p.Spec}, req)
				if err != nil {
					t.Fatal(err)
				}
				return r.inv.Candidates(inventory.Query{Namespace: "default", Options: options})[0].Claimed
			}
			if n > 0 && claimed() == 0 {
				t.Fatal("what was posted claimed nothing at all: the test shows nothing")
			}
			*r.now = r.now.Add(moment + time.Millisecond)
			if got := claimed(); got != 0 {
				t.Errorf("after the moment it claims %d GPUs", got)
			}
		})
	}
}

// TestForgedOwner: whoever names somebody else's controller turns none of its kinds
// down, releases nothing that is reserved for it, and hides no refusal of its pods.
func TestForgedOwner(t *testing.T) {
	r := newRig(t).paper()
	owned := func(name string) *corev1.Pod {
		return pod(name, "face-recognition", "gpu,npu", func(p *corev1.Pod) {
			p.OwnerReferences = []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "ReplicaSet", Name: "x", UID: "rs", Controller: new(true)}}
		})
	}
	first := r.admitOver(t, "the API server", owned("first"))
	seen := func(p *corev1.Pod) {
		r.arrives(p, "")
		r.srv.Refusals.Admitted("default", p.Annotations[accel.ReservationAnnotation])
		r.inv.DeletePod("default", p.Name)
	}
	seen(first) // so that the connection is known to be the API server's
	second := r.admitOver(t, "the API server", owned("second"))
	for i := range 5 {
		*r.now = r.now.Add(1100 * time.Millisecond)
		r.over("somebody", reviewOf(t, owned(fmt.Sprint("forged-", i))))
	}
	if _, ok := r.inv.Reserved("default", second.Annotations[accel.ReservationAnnotation]); !ok {
		t.Error("what was reserved for its pod was released")
	}
	seen(second)
	*r.now = r.now.Add(moment)
	third := r.admitOver(t, "the API server", owned("third"))
	if selected(third) != "GPU" {
		t.Errorf("its next pod got %s: %s", selected(third), third.Annotations[accel.ReasonAnnotation])
	}
	for range 3 { // of other kinds, under the same owner
		r.over("somebody", reviewOf(t, owned("again")))
	}
	if lost, ok := r.srv.Refusals.CreateFailed(refusals.OwnerOf("default", "rs", "", ""), `pods "x" is forbidden: no`); !ok || len(lost) != 1 || lost[0] != third.Annotations[accel.ReservationAnnotation] {
		t.Errorf("a refusal of its pod takes %v, %v", lost, ok)
	}
}
