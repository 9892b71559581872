package server

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	extenderv1 "k8s.io/kube-scheduler/extender/v1"

	"heteroaccel.io/extender/extendertest"
	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/journal"
	"heteroaccel.io/pkg/kube"
	"heteroaccel.io/pkg/telemetry"
)

// rig is a served extender and what it reads.
type rig struct {
	verbs, pages *httptest.Server
	*extendertest.Cluster
}

func newRig(tb testing.TB, clock func() time.Time) *rig {
	tb.Helper()
	r := &rig{Cluster: extendertest.New(tb, clock)}
	s, err := New(Config{
		Inventory: r.Inventory, Profiles: r.Profiles, FollowPods: r.FollowPods,
		Ready:        func() error { return nil },
		Other:        func(*corev1.Pod) bool { return false },
		Conflict:     func(string) string { return "" },
		Decisions:    journal.New(1),
		Missing:      func() []string { return nil },
		Suspended:    func() bool { return false },
		NotRecreated: func() []kube.NotRecreated { return nil },
		MayList:      func(*http.Request, schema.GroupResource, string) (bool, error) { return true, nil },
		Registerer:   prometheus.NewRegistry(),
		Log:          zerolog.New(zerolog.NewTestWriter(tb)),
	})
	if err != nil {
		tb.Fatal(err)
	}
	r.verbs, r.pages = httptest.NewServer(s.Verbs), httptest.NewServer(s.Pages)
	tb.Cleanup(r.verbs.Close)
	tb.Cleanup(r.pages.Close)
	return r
}

func (r *rig) get(tb testing.TB, path string) (status int, contentType, body string) {
	tb.Helper()
	return extendertest.Get(tb, r.pages.URL+path)
}

func (r *rig) filter(tb testing.TB, pod *corev1.Pod, names ...string) extenderv1.ExtenderFilterResult {
	tb.Helper()
	var result extenderv1.ExtenderFilterResult
	extendertest.Post(tb, r.verbs.URL+"/scheduler/filter", extenderv1.ExtenderArgs{Pod: pod, NodeNames: &names}, &result)
	return result
}

// The pages show how the scheduler was answered, and that it did not ask.
func TestPagesExplainTheVerbs(t *testing.T) {
	clock := extendertest.Now
	r := newRig(t, func() time.Time { return clock })
	r.SetGPUNodes()
	created := func(p *corev1.Pod) { p.CreationTimestamp = metav1.NewTime(clock) }
	r.SetPod(extendertest.Managed("first", "", "GPU", created, extendertest.GPU, "1")) // the extender notices that it is ready
	clock = clock.Add(11 * time.Second)

	asked := extendertest.Managed("asked", "", "GPU", created, extendertest.GPU, "1")
	r.SetPod(asked)
	r.filter(t, asked, "idle", "stale")
	var result extenderv1.ExtenderPreemptionResult
	extendertest.Post(t, r.verbs.URL+"/scheduler/preempt", extenderv1.ExtenderPreemptionArgs{
		Pod: asked, NodeNameToMetaVictims: map[string]*extenderv1.MetaVictims{"idle": {}},
	}, &result)
	bypassed := extendertest.Managed("bypassed", "", "NPU", created, extendertest.NPU, "1")
	r.SetPod(bypassed)
	bypassed = bypassed.DeepCopy()
	bypassed.Spec.NodeName = "idle"
	r.SetPod(bypassed)

	for path, want := range map[string][]string{
		"/pods/default/asked":    {"asked 0s ago about 2 nodes: 2 passed, 0 rejected", "1 kept, 0 rejected"},
		"/pods/default/bypassed": {"never asked, although the pod was bound"},
		"/":                      {"add npu.intel.com/accel to managedResources"},
	} {
		_, _, text := r.get(t, path)
		text = strings.Join(strings.Fields(text), " ")
		for _, sentence := range want {
			if !strings.Contains(text, sentence) {
				t.Errorf("GET %s does not say %q:\n%s", path, sentence, text)
			}
		}
	}
}

// TestApart: what kube-scheduler asks and what people are shown is nowhere else.
func TestApart(t *testing.T) {
	r := newRig(t, extendertest.Fixed)
	r.SetGPUNodes()
	r.SetPod(extendertest.Managed("waiter", "", "GPU", nil, extendertest.GPU, "1"))
	status := func(method, url string) int {
		t.Helper()
		req, err := http.NewRequest(method, url, strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.StatusCode
	}
	for _, path := range []string{"/", "/nodes", "/nodes/idle", "/pods", "/pods/default/waiter", "/profiles", "/scheduler/config", "/metrics", "/healthz", "/readyz"} {
		if got := status(http.MethodGet, r.verbs.URL+path); got != http.StatusNotFound {
			t.Errorf("GET %s is %d where kube-scheduler asks", path, got)
		}
	}
	for _, path := range []string{"/scheduler/filter", "/scheduler/prioritize", "/scheduler/preempt", "/metrics"} {
		if got := status(http.MethodPost, r.pages.URL+path); got != http.StatusNotFound {
			t.Errorf("POST %s is %d where the pages are", path, got)
		}
	}
}

func TestHead(t *testing.T) {
	r := newRig(t, extendertest.Fixed)
	r.SetGPUNodes()
	r.SetPod(extendertest.Managed("waiter", "", "GPU", nil, extendertest.GPU, "1"))
	for _, path := range []string{"/", "/nodes", "/nodes/idle", "/pods/default/waiter", "/profiles"} {
		resp, err := http.Head(r.pages.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode != http.StatusOK || len(body) != 0 {
			t.Errorf("HEAD %s: %s, %d bytes, %v", path, resp.Status, len(body), err)
		}
	}
	req, err := http.NewRequest(http.MethodPost, r.pages.URL+"/nodes", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusMethodNotAllowed || resp.Header.Get("Allow") != "GET, HEAD" {
		t.Errorf("POST /nodes: %s, Allow %q", resp.Status, resp.Header.Get("Allow"))
	}
}

// TestReplicasAgree: what one replica was asked before, and the other not, does not
// change an answer.
func TestReplicasAgree(t *testing.T) {
	a, b := newRig(t, extendertest.Fixed), newRig(t, extendertest.Fixed)
	pod := extendertest.Managed("waiter", "", "GPU", nil, extendertest.GPU, "1")
	for _, r := range []*rig{a, b} {
		r.SetGPUNodes()
		r.SetPod(pod)
	}
	for range 5 {
		a.filter(t, extendertest.Managed("before", "", "GPU", nil, extendertest.GPU, "1"), extendertest.EveryNode...)
	}
	answers := func(r *rig) (all struct {
		Filter     extenderv1.ExtenderFilterResult
		Prioritize extenderv1.HostPriorityList
		Preempt    extenderv1.ExtenderPreemptionResult
	}) {
		args := extenderv1.ExtenderArgs{Pod: pod, NodeNames: &extendertest.EveryNode}
		extendertest.Post(t, r.verbs.URL+"/scheduler/filter", args, &all.Filter)
		extendertest.Post(t, r.verbs.URL+"/scheduler/prioritize", args, &all.Prioritize)
		extendertest.Post(t, r.verbs.URL+"/scheduler/preempt", extenderv1.ExtenderPreemptionArgs{
			Pod: pod, NodeNameToMetaVictims: map[string]*extenderv1.MetaVictims{"idle": {}, "sick": {}},
		}, &all.Preempt)
		return all
	}
	if diff := cmp.Diff(answers(a), answers(b)); diff != "" || len(*answers(a).Filter.NodeNames) == 0 {
		t.Errorf("two replicas answer differently:\n%s", diff)
	}
}

// Eight schedulers ask while the inventory changes under them: every answer
// is about the names that were asked for, and each in one place only.
func TestHammer(t *testing.T) {
	r := newRig(t, time.Now)
	names := extendertest.NodeNames(200)
	for _, n := range names {
		r.SetNode(n, nil, extendertest.GPU, "1")
	}
	stop := make(chan struct{})
	var feeding, asking sync.WaitGroup
	feeding.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			name := names[i%len(names)]
			d := extendertest.Device("GPU", "g", extendertest.GPU)
			if i%3 == 0 {
				extendertest.Unhealthy(&d)
			}
			r.Inventory.SetTelemetry(telemetry.Scrape{Node: name, Time: time.Now(), Devices: []accel.Device{d}, CPUCores: 8, CPUBusy: 2})
			p := extendertest.Managed(fmt.Sprintf("p-%d", i%50), name, "GPU", nil, extendertest.GPU, "1")
			if i%2 == 0 {
				r.SetPod(p)
			} else {
				r.DeletePod(p.Namespace, p.Name)
			}
		}
	})
	for c := range 8 {
		asking.Go(func() {
			mine := names[c*10 : 100+c*10]
			for i := range 60 {
				pod := extendertest.Managed(fmt.Sprintf("client-%d", c), "", "GPU", nil, extendertest.GPU, "1")
				got := r.filter(t, pod, mine...)
				if n := len(*got.NodeNames) + len(got.FailedNodes) + len(got.FailedAndUnresolvableNodes); n != len(mine) || got.Error != "" {
					t.Errorf("%d of %d nodes answered, error %q", n, len(mine), got.Error)
					return
				}
				var scores extenderv1.HostPriorityList
				extendertest.Post(t, r.verbs.URL+"/scheduler/prioritize", extenderv1.ExtenderArgs{Pod: pod, NodeNames: &mine}, &scores)
				for j, s := range scores {
					if s.Host != mine[j] || s.Score < 0 || s.Score > extenderv1.MaxExtenderPriority {
						t.Errorf("score %d of client %d: %+v, want host %s", j, c, s, mine[j])
						return
					}
				}
				if i%10 == 0 {
					for _, path := range []string{"/nodes", "/pods", "/nodes/" + mine[0]} {
						if status, _, body := r.get(t, path); status != http.StatusOK {
							t.Errorf("GET %s: %d %s", path, status, body)
						}
					}
				}
			}
		})
	}
	asking.Wait()
	close(stop)
	feeding.Wait()
}
