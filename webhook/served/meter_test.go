package served

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/rs/zerolog"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/inventory"
	"heteroaccel.io/pkg/kube"
	"heteroaccel.io/pkg/profile"
	"heteroaccel.io/pkg/profile/v1alpha1"
)

// rig is a meter of the inference faces, whose servers are one HTTP server that tells
// them apart by the address at which it was asked.
type rig struct {
	*Meter
	port int32

	mu      sync.Mutex
	pages   map[string]string // by address
	asked   map[string]int
	written []string
	refuse  error
}

func newRig(t *testing.T, q querier) *rig {
	t.Helper()
	r := &rig{pages: map[string]string{}, asked: map[string]int{}}
	listener, err := net.Listen("tcp4", "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(r.serve), ReadHeaderTimeout: time.Second}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close() })
	r.port = int32(listener.Addr().(*net.TCPAddr).Port)
	profiles := profile.NewStore()
	if err := profiles.Put(&v1alpha1.InferenceProfile{
		ObjectMeta: metav1.ObjectMeta{Name: "faces"},
		Spec: v1alpha1.InferenceProfileSpec{
			ServerMetrics: &v1alpha1.ServerMetrics{Port: r.port, Histogram: "took", Unit: "ms"},
			Variants: []v1alpha1.Variant{
				{Accelerator: "GPU", Image: "a", ServiceTime: &metav1.Duration{Duration: 50 * time.Millisecond}, Limits: corev1.ResourceList{"x.io/gpu": resource.MustParse("1")}},
				{Accelerator: "NPU", Image: "a", Limits: corev1.ResourceList{"x.io/npu": resource.MustParse("1")}},
			},
		},
	}); err != nil {
		t.Fatal(err)
	}
	c := Config{
		Profiles: profiles, Interval: time.Minute, Registry: prometheus.NewRegistry(), Log: zerolog.New(zerolog.NewTestWriter(t)),
		Prometheus: q, Leads: func() error { return nil },
		Serves: func(p *inventory.Pod, of *profile.Profile) (*profile.Variant, bool) {
			return of.Variant(p.Managed.Kind), p.Run.Image == "a"
		},
		Codes: func(_, namespace string) []string { return []string{"code of " + namespace} },
		Write: r.write,
	}
	r.Meter = New(c)
	return r
}

func (r *rig) serve(w http.ResponseWriter, req *http.Request) {
	at := req.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr).IP.String()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked[at]++
	switch page := r.pages[at]; {
	case page == "":
		http.Error(w, "no", http.StatusInternalServerError)
	case strings.HasPrefix(page, "http"):
		http.Redirect(w, req, page, http.StatusFound)
	default:
		fmt.Fprint(w, page)
	}
}

// did sets what a server has done: so many inferences, in so many milliseconds.
func (r *rig) did(at string, inferences, milliseconds int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.pages[at] = fmt.Sprintf("took_sum %d\ntook_count %d\n", milliseconds, inferences)
}

func (r *rig) write(_ context.Context, name string, more map[profile.ServedKey]profile.Runs) (bool, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.refuse != nil {
		return true, r.refuse
	}
	for key, runs := range more {
		for code, e := range runs.By {
			r.written = append(r.written, fmt.Sprintf("%s %s %s %s %d readings", name, key.Kind, key.Load, code, e.Runs))
		}
	}
	return false, nil
}

// server adds one that is Ready.
func (r *rig) server(namespace, name, address string, kind accel.Kind, change ...func(*corev1.Pod, *inventory.Pod)) {
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, OwnerReferences: []metav1.OwnerReference{
			{APIVersion: "apps/v1", Kind: "ReplicaSet", Name: "faces-5d9c", Controller: new(true)},
		}},
		Status: corev1.PodStatus{PodIP: address, Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}},
	}
	record := &inventory.Pod{
		Namespace: namespace, Name: name, UID: types.UID(namespace + name), Node: "n",
		Managed: &inventory.Managed{Inference: "faces", Kind: kind}, Run: &inventory.Run{Image: "a"},
	}
	for _, c := range change {
		c(pod, record)
	}
	r.Set(&kube.PodEvent{Pod: pod, PodChange: inventory.PodChange{Record: record}})
}

// round reads all servers, as if the last round had been half a minute before.
func (r *rig) nextRound(t *testing.T) {
	t.Helper()
	r.Meter.mu.Lock()
	for _, h := range r.histories {
		h.last.at, h.from.at = h.last.at.Add(-30*time.Second), h.from.at.Add(-30*time.Second)
	}
	r.Meter.mu.Unlock()
	r.round(t.Context())
}

// TestMeter: of each namespace, kind and load one reading a round counts, the median of
// its servers; and only of those that run what they were given.
func TestMeter(t *testing.T) {
	r := newRig(t, nil)
	const a, b, c, d, e, f = "127.0.0.1", "127.0.0.2", "127.0.0.3", "127.0.0.4", "127.0.0.5", "127.0.0.6"
	r.server("lab", "a", a, "GPU")
	r.server("lab", "b", b, "GPU")
	r.server("lab", "c", c, "GPU")
	r.server("lab", "d", d, "NPU")
	r.server("lab", "altered", e, "GPU", func(_ *corev1.Pod, p *inventory.Pod) { p.Run.Image = "mine" })
	r.server("lab", "not ready", e, "GPU", func(p *corev1.Pod, _ *inventory.Pod) { p.Status.Conditions = nil })
	r.server("lab", "ends", e, "GPU", func(_ *corev1.Pod, p *inventory.Pod) { p.Run.Ends = true })
	r.server("other", "f", f, "GPU")
	for _, at := range []string{a, b, c, d, f} {
		r.did(at, 1000, 50_000)
	}
	r.nextRound(t)
	r.did(a, 1100, 50_500) // 5 ms each, light
	r.did(b, 1100, 50_600) // 6 ms
	r.did(c, 1100, 60_000) // 100 ms
	r.did(d, 2200, 74_000) // 20 ms each, busy
	r.did(f, 1005, 50_050) // too few
	r.nextRound(t)
	m := r.unwritten["faces"]
	if got := m[profile.ServedKey{Kind: "GPU", Load: profile.Light}].By["code of lab"]; got.Runs != 1 || got.Time() != 6*time.Second {
		t.Errorf("the GPU's: %+v", got)
	}
	if got := m[profile.ServedKey{Kind: "NPU", Load: profile.Busy}].By["code of lab"]; got.Runs != 1 || got.Time() != 20*time.Second {
		t.Errorf("the NPU's: %+v", got)
	}
	if len(m) != 2 || len(m[profile.ServedKey{Kind: "GPU", Load: profile.Light}].By) != 1 {
		t.Errorf("%+v", m)
	}
	if r.asked[e] != 0 {
		t.Errorf("pods that are no servers of ours were asked %d times", r.asked[e])
	}
	want := `# HELP heteroaccel_webhook_server_capacity Inferences a second that the servers of an owner can do on a kind, as far as it is known how long one takes there.
# TYPE heteroaccel_webhook_server_capacity gauge
heteroaccel_webhook_server_capacity{inference="faces",kind="GPU",owner="faces",pod_namespace="lab"} 80
heteroaccel_webhook_server_capacity{inference="faces",kind="GPU",owner="faces",pod_namespace="other"} 20
heteroaccel_webhook_server_capacity{inference="faces",kind="NPU",owner="faces",pod_namespace="lab"} 10
# HELP heteroaccel_webhook_servers Pods that serve an inference: admitted, Ready, and without an end.
# TYPE heteroaccel_webhook_servers gauge
heteroaccel_webhook_servers{inference="faces",kind="GPU",owner="faces",pod_namespace="lab"} 4
heteroaccel_webhook_servers{inference="faces",kind="GPU",owner="faces",pod_namespace="other"} 1
heteroaccel_webhook_servers{inference="faces",kind="NPU",owner="faces",pod_namespace="lab"} 1
`
	if err := testutil.CollectAndCompare(r, strings.NewReader(want), "heteroaccel_webhook_server_capacity", "heteroaccel_webhook_servers"); err != nil {
		t.Error(err)
	}
	// One of lab's does not report: what the others do is not what all do.
	if n := testutil.CollectAndCount(r, "heteroaccel_webhook_server_rate"); n != 1 {
		t.Errorf("there are %d rates, want that of the namespace all of whose servers report", n)
	}
	r.Delete(types.NamespacedName{Namespace: "lab", Name: "altered"})
	if n := testutil.CollectAndCount(r, "heteroaccel_webhook_server_rate"); n != 3 {
		t.Errorf("there are %d rates, want 3", n)
	}
	r.Leads = func() error { return errors.New("another replica does") }
	if n := testutil.CollectAndCount(r); n != 0 {
		t.Errorf("a replica that does not lead reports %d series", n)
	}
}

// TestBadPages: whatever a page is, the others are read.
func TestBadPages(t *testing.T) {
	r := newRig(t, nil)
	r.server("lab", "good", "127.0.0.1", "GPU")
	r.server("lab", "fails", "127.0.0.2", "GPU")
	r.server("lab", "redirects", "127.0.0.3", "GPU")
	r.server("lab", "lacks", "127.0.0.4", "GPU")
	r.server("lab", "huge", "127.0.0.5", "GPU")
	r.server("lab", "nobody", "127.9.9.9", "GPU")
	r.pages["127.0.0.3"] = fmt.Sprintf("http://127.0.0.1:%d/metrics", r.port)
	r.pages["127.0.0.4"] = "other_sum 1\n"
	r.pages["127.0.0.5"] = strings.Repeat("x 1\n", pageLimit/4) + "took_sum 1\ntook_count 1\n"
	r.did("127.0.0.1", 0, 0)
	r.nextRound(t)
	r.did("127.0.0.1", 100, 1000)
	r.nextRound(t)
	if got := r.unwritten["faces"][profile.ServedKey{Kind: "GPU", Load: profile.Light}].By["code of lab"]; got.Runs != 1 {
		t.Errorf("%+v", r.unwritten)
	}
	if got := testutil.ToFloat64(r.reads.WithLabelValues(scraped)); got != 2 {
		t.Errorf("%v pages were read, want 2", got)
	}
	if r.asked["127.0.0.1"] != 2 {
		t.Errorf("a redirect was followed: %v", r.asked)
	}
}

// TestWrite: what is new is written at once, the rest now and then, and nothing is lost
// while the API server does not answer.
func TestWrite(t *testing.T) {
	r := newRig(t, nil)
	r.server("lab", "a", "127.0.0.1", "GPU")
	now := time.Now()
	for i := range 4 {
		r.did("127.0.0.1", 100*i, 1000*i)
		r.nextRound(t)
	}
	r.refuse = errors.New("no answer")
	r.Meter.write(t.Context(), now, false)
	r.refuse = nil
	r.Meter.write(t.Context(), now, false)
	if diff := cmp.Diff([]string{"faces GPU light code of lab 3 readings"}, r.written); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	r.Meter.write(t.Context(), now, false)
	if len(r.written) != 1 || len(r.unwritten) != 0 {
		t.Errorf("written again: %v, %v", r.written, r.unwritten)
	}
}
