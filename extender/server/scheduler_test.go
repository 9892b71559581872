package server

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	extenderv1 "k8s.io/kube-scheduler/extender/v1"

	"heteroaccel.io/pkg/accel"
)

func sick(d *accel.Device)  { d.Health = accel.Unhealthy }
func taken(d *accel.Device) { d.ExternalUse = "ffmpeg" }

// gpuNodes are one node of each sort there is.
func gpuNodes(r *rig) {
	for _, name := range []string{"idle", "sick", "taken", "stale"} {
		r.node(name, nil, gpu, "1")
	}
	r.node("without", nil)
	r.sample("idle", 2*time.Second, device("GPU", "0000:00:02.0", gpu))
	r.sample("sick", 2*time.Second, device("GPU", "0000:00:02.0", gpu, sick))
	r.sample("taken", 2*time.Second, device("GPU", "0000:00:02.0", gpu, taken))
	r.sample("stale", time.Minute, device("GPU", "0000:00:02.0", gpu, sick))
	r.sample("without", 2*time.Second)
}

var everyNode = []string{"idle", "sick", "taken", "stale", "without", "unknown"}

func TestFilterNames(t *testing.T) {
	r := newRig(t, fixed)
	gpuNodes(r)
	got := r.filter(t, managed("a", "", "GPU", nil, gpu, "1"), everyNode...)
	want := extenderv1.ExtenderFilterResult{
		NodeNames: &[]string{"idle", "stale", "unknown"},
		FailedNodes: extenderv1.FailedNodesMap{
			"sick":  "GPU 0000:00:02.0 is unhealthy",
			"taken": "GPU 0000:00:02.0 is used outside Kubernetes by ffmpeg",
		},
		FailedAndUnresolvableNodes: extenderv1.FailedNodesMap{"without": "this node offers no " + gpu},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("filter (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{}, *r.filter(t, managed("a", "", "GPU", nil, gpu, "1")).NodeNames); diff != "" {
		t.Errorf("no names (-want +got):\n%s", diff)
	}
	cpu := r.filter(t, managed("c", "", "CPU", nil, "cpu", "2"), everyNode...)
	if diff := cmp.Diff(everyNode, *cpu.NodeNames); diff != "" {
		t.Errorf("CPU kind (-want +got):\n%s", diff)
	}

	const metrics = `
# HELP heteroaccel_extender_nodes_rejected_total Nodes that the filter rejected, by reason.
# TYPE heteroaccel_extender_nodes_rejected_total counter
heteroaccel_extender_nodes_rejected_total{reason="absent"} 1
heteroaccel_extender_nodes_rejected_total{reason="external_use"} 1
heteroaccel_extender_nodes_rejected_total{reason="unhealthy"} 1
# HELP heteroaccel_extender_stale_nodes Nodes without a fresh sample, for which Kubernetes' own accounting counts alone.
# TYPE heteroaccel_extender_stale_nodes gauge
heteroaccel_extender_stale_nodes 1
`
	if err := testutil.GatherAndCompare(r.reg, strings.NewReader(metrics), "heteroaccel_extender_nodes_rejected_total", "heteroaccel_extender_stale_nodes"); err != nil {
		t.Error(err)
	}
	if problems, err := testutil.GatherAndLint(r.reg); err != nil || len(problems) > 0 {
		t.Errorf("metrics lint: %v %v", problems, err)
	}
}

func TestFilterFullNodes(t *testing.T) {
	r := newRig(t, fixed)
	gpuNodes(r)
	in := &corev1.NodeList{}
	for _, name := range everyNode {
		in.Items = append(in.Items, corev1.Node{
			ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"a": "\"quoted\" <é>"}},
			Status:     corev1.NodeStatus{Capacity: list("cpu", "8")},
		})
	}
	var got extenderv1.ExtenderFilterResult
	r.post(t, "/scheduler/filter", extenderv1.ExtenderArgs{Pod: managed("a", "", "GPU", nil, gpu, "1"), Nodes: in}, &got)
	want := &corev1.NodeList{Items: []corev1.Node{in.Items[0], in.Items[3], in.Items[5]}}
	if diff := cmp.Diff(want, got.Nodes); diff != "" {
		t.Errorf("nodes (-want +got):\n%s", diff)
	}
	if got.NodeNames != nil || len(got.FailedNodes) != 2 || len(got.FailedAndUnresolvableNodes) != 1 {
		t.Errorf("got %+v", got)
	}
	var scores extenderv1.HostPriorityList
	r.post(t, "/scheduler/prioritize", extenderv1.ExtenderArgs{Pod: managed("a", "", "GPU", nil, gpu, "1"), Nodes: in}, &scores)
	if len(scores) != len(everyNode) || scores[0].Host != "idle" {
		t.Errorf("scores of full nodes: %v", scores)
	}
}

func TestPrioritize(t *testing.T) {
	r := newRig(t, fixed)
	gpuNodes(r)
	names := []string{"unknown", "stale", "idle"}
	var got extenderv1.HostPriorityList
	r.post(t, "/scheduler/prioritize", extenderv1.ExtenderArgs{Pod: managed("a", "", "GPU", nil, gpu, "1"), NodeNames: &names}, &got)
	want := extenderv1.HostPriorityList{
		{Host: "unknown", Score: 0},
		{Host: "stale", Score: 1}, // 1 + round(2·0)
		{Host: "idle", Score: 6},  // 4 + round(4·0 + 2·¾)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("prioritize (-want +got):\n%s", diff)
	}
}

func TestLowerCaseKeysAndNumbers(t *testing.T) {
	r := newRig(t, fixed)
	gpuNodes(r)
	body := json.RawMessage(`{"pod":{"spec":{"containers":[{"resources":{"requests":{"gpu.intel.com/i915":1}}}]}},"nodenames":["sick","idle"]}`)
	var got extenderv1.ExtenderFilterResult
	r.post(t, "/scheduler/filter", body, &got)
	if diff := cmp.Diff([]string{"idle"}, *got.NodeNames); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
}

// A pod that nobody can read is a failure to place it: a 200 with an Error.
func TestPodThatCannotBeRead(t *testing.T) {
	r := newRig(t, fixed)
	body := json.RawMessage(`{"Pod":{"spec":{"containers":[{"resources":{"requests":{"cpu":"many"}}}]}},"NodeNames":["a"]}`)
	var got extenderv1.ExtenderFilterResult
	r.post(t, "/scheduler/filter", body, &got)
	if !strings.HasPrefix(got.Error, "the pod's resources cannot be read: ") || got.NodeNames != nil {
		t.Errorf("got %+v", got)
	}
	var scores extenderv1.HostPriorityList
	r.post(t, "/scheduler/prioritize", body, &scores)
	if len(scores) != 0 {
		t.Errorf("scores %v", scores)
	}
}

func TestGarbage(t *testing.T) {
	r := newRig(t, fixed)
	const notArgs = "the body is not the JSON of ExtenderArgs that kube-scheduler sends"
	tests := map[string]struct {
		method, contentType, body string
		status                    int
		sentence                  string
	}{
		"empty":              {"POST", "application/json", "", 400, "the body is empty: send a JSON object"},
		"not JSON":           {"POST", "application/json", "hello", 400, notArgs},
		"cut off":            {"POST", "application/json", `{"Pod":{"metadata":`, 400, notArgs},
		"more after it":      {"POST", "application/json", `{"Pod":{},"NodeNames":["a"]} {}`, 400, notArgs},
		"an array":           {"POST", "application/json", `[]`, 400, notArgs},
		"wrong type":         {"POST", "application/json", `{"Pod":{},"NodeNames":[1]}`, 400, notArgs},
		"wrong inside":       {"POST", "application/json", `{"Pod":{},"NodeNames":["a"],"x":[1,]}`, 400, notArgs},
		"no UTF-8":           {"POST", "application/json", "{\"Pod\":{},\"NodeNames\":[\"\xff\xfe\"]}", 400, "the body is not valid UTF-8"},
		"half a surrogate":   {"POST", "application/json", `{"Pod":{},"NodeNames":["\ud800"]}`, 400, notArgs},
		"control character":  {"POST", "application/json", "{\"Pod\":{},\"NodeNames\":[\"a\nb\"]}", 400, notArgs},
		"NULs":               {"POST", "application/json", strings.Repeat("\x00", 4096), 400, notArgs},
		"deep":               {"POST", "application/json", `{"Pod":` + strings.Repeat(`{"x":`, 1e6), 400, notArgs},
		"null":               {"POST", "application/json", "null", 400, "the body holds no Pod: send ExtenderArgs, as kube-scheduler does"},
		"no pod":             {"POST", "application/json", `{"NodeNames":["a"]}`, 400, "the body holds no Pod: send ExtenderArgs, as kube-scheduler does"},
		"no nodes":           {"POST", "application/json", `{"Pod":{}}`, 400, "the body holds neither NodeNames nor Nodes: send ExtenderArgs, as kube-scheduler does"},
		"null nodes":         {"POST", "application/json", `{"Pod":{},"NodeNames":null,"Nodes":null}`, 400, "the body holds neither NodeNames nor Nodes: send ExtenderArgs, as kube-scheduler does"},
		"a node, no name":    {"POST", "application/json", `{"Pod":{},"Nodes":{"items":[{"metadata":{}}]}}`, 400, "item 0 of Nodes has no metadata.name"},
		"a node is null":     {"POST", "application/json", `{"Pod":{},"Nodes":{"items":[null]}}`, 400, "item 0 of Nodes has no metadata.name"},
		"50 MB":              {"POST", "application/json", strings.Repeat("x", 50<<20), 413, ""},
		"wrong content type": {"POST", "text/plain", `{}`, 415, ""},
		"no content type":    {"POST", "", `{}`, 415, ""},
		"wrong method":       {"GET", "application/json", "", 405, "GET is not possible at PATH: use POST"},
		"another method":     {"DELETE", "", "", 405, "DELETE is not possible at PATH: use POST"},
	}
	for name, tt := range tests {
		for _, path := range []string{"/scheduler/filter", "/scheduler/prioritize"} {
			t.Run(name+path, func(t *testing.T) {
				req, err := http.NewRequest(tt.method, r.URL+path, strings.NewReader(tt.body))
				if err != nil {
					t.Fatal(err)
				}
				req.Header.Set("Content-Type", tt.contentType)
				resp, err := http.DefaultClient.Do(req)
				if err != nil {
					t.Fatal(err)
				}
				defer resp.Body.Close()
				var failure struct{ Error string }
				if err := json.NewDecoder(resp.Body).Decode(&failure); err != nil {
					t.Fatalf("%s: %v", resp.Status, err)
				}
				if want := strings.ReplaceAll(tt.sentence, "PATH", path); resp.StatusCode != tt.status || failure.Error == "" || want != "" && failure.Error != want {
					t.Errorf("got %d %q, want %d %q", resp.StatusCode, failure.Error, tt.status, want)
				}
				if tt.status == 405 && resp.Header.Get("Allow") != "POST" {
					t.Errorf("Allow: %q", resp.Header.Get("Allow"))
				}
			})
		}
	}
	gpuNodes(r) // and it works as ever
	if got := r.filter(t, managed("a", "", "GPU", nil, gpu, "1"), "idle", "sick"); len(*got.NodeNames) != 1 {
		t.Errorf("after garbage: %+v", got)
	}
}

func TestOddNamesSurvive(t *testing.T) {
	r := newRig(t, fixed)
	names := []string{`a"b`, `back\slash`, "é", "<&>", "\u2028", "line\nbreak", "\x7f", ""}
	got := r.filter(t, managed("a", "", "GPU", nil, gpu, "1"), names...)
	if diff := cmp.Diff(names, *got.NodeNames); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
}

// Verdicts are remembered for a bounded number of pods and nodes, and point
// into no request's body.
func TestMemoryIsBounded(t *testing.T) {
	r := newRig(t, fixed)
	r.node("sick", nil, gpu, "1")
	var sickNodes []string
	for i := range 30 {
		name := fmt.Sprintf("sick-%02d", i)
		r.node(name, nil, gpu, "1")
		r.sample(name, time.Second, device("GPU", "g", gpu, sick))
		sickNodes = append(sickNodes, name)
	}
	pod := managed("a", "", "GPU", nil, gpu, "1")
	r.inv.SetPod(podRecord(pod))
	r.filter(t, pod, append(sickNodes, "unknown")...)
	for i := range 50 { // bodies that reuse the first one's buffer
		r.filter(t, managed(fmt.Sprintf("other-%d", i), "", "GPU", nil, gpu, "1"), strings.Repeat("z", 900))
	}
	_, _, body := r.get(t, "/pods/default/a?format=json")
	var got struct{ Filter filterView }
	if err := json.Unmarshal([]byte(body), &got); err != nil {
		t.Fatal(err)
	}
	if got.Filter.Passed != 1 || got.Filter.Rejected != 30 || len(got.Filter.Nodes) != rejectionsRemembered {
		t.Errorf("got %+v", got.Filter)
	}
	if diff := cmp.Diff(standing{"sick-00", "rejected", "GPU g is unhealthy"}, got.Filter.Nodes[0]); diff != "" {
		t.Errorf("first (-want +got):\n%s", diff)
	}
}

// Eight schedulers ask while the inventory changes under them: every answer
// is about the names that were asked for, and each in one place only.
func TestHammer(t *testing.T) {
	r := newRig(t, time.Now)
	names := nodeNames(200)
	for _, n := range names {
		r.node(n, nil, gpu, "1")
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
			d := device("GPU", "g", gpu)
			if i%3 == 0 {
				sick(&d)
			}
			s := sampleOf(name, d)
			s.Time = time.Now()
			r.inv.SetTelemetry(s)
			p := managed(fmt.Sprintf("p-%d", i%50), name, "GPU", nil, gpu, "1")
			if i%2 == 0 {
				r.inv.SetPod(podRecord(p))
			} else {
				r.inv.DeletePod(p.Namespace, p.Name)
			}
		}
	})
	for c := range 8 {
		asking.Go(func() {
			mine := names[c*10 : 100+c*10]
			for i := range 60 {
				pod := managed(fmt.Sprintf("client-%d", c), "", "GPU", nil, gpu, "1")
				got := r.filter(t, pod, mine...)
				if n := len(*got.NodeNames) + len(got.FailedNodes) + len(got.FailedAndUnresolvableNodes); n != len(mine) || got.Error != "" {
					t.Errorf("%d of %d nodes answered, error %q", n, len(mine), got.Error)
					return
				}
				var scores extenderv1.HostPriorityList
				r.post(t, "/scheduler/prioritize", extenderv1.ExtenderArgs{Pod: pod, NodeNames: &mine}, &scores)
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
