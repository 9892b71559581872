package verbs

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	extenderv1 "k8s.io/kube-scheduler/extender/v1"

	"heteroaccel.io/extender/extendertest"
	"heteroaccel.io/extender/history"
)

func TestFilterNames(t *testing.T) {
	r := newRig(t, extendertest.Fixed)
	r.SetGPUNodes()
	got := r.filter(t, extendertest.Managed("a", "", "GPU", nil, gpu, "1"), extendertest.EveryNode...)
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
	if diff := cmp.Diff([]string{}, *r.filter(t, extendertest.Managed("a", "", "GPU", nil, gpu, "1")).NodeNames); diff != "" {
		t.Errorf("no names (-want +got):\n%s", diff)
	}
	cpu := r.filter(t, extendertest.Managed("c", "", "CPU", nil, "cpu", "2"), extendertest.EveryNode...)
	if diff := cmp.Diff(extendertest.EveryNode, *cpu.NodeNames); diff != "" {
		t.Errorf("CPU kind (-want +got):\n%s", diff)
	}

	const metrics = `
# HELP heteroaccel_extender_nodes_rejected_total Nodes that filter rejected, by reason.
# TYPE heteroaccel_extender_nodes_rejected_total counter
heteroaccel_extender_nodes_rejected_total{reason="absent"} 1
heteroaccel_extender_nodes_rejected_total{reason="external_use"} 1
heteroaccel_extender_nodes_rejected_total{reason="unhealthy"} 1
# HELP heteroaccel_extender_stale_nodes Nodes without fresh telemetry, for which Kubernetes' accounting alone decides.
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
	r := newRig(t, extendertest.Fixed)
	r.SetGPUNodes()
	in := &corev1.NodeList{}
	for _, name := range extendertest.EveryNode {
		in.Items = append(in.Items, corev1.Node{
			ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"a": "\"quoted\" <é>"}},
			Status:     corev1.NodeStatus{Capacity: extendertest.List("cpu", "8")},
		})
	}
	var got extenderv1.ExtenderFilterResult
	r.post(t, "/scheduler/filter", extenderv1.ExtenderArgs{Pod: extendertest.Managed("a", "", "GPU", nil, gpu, "1"), Nodes: in}, &got)
	want := &corev1.NodeList{Items: []corev1.Node{in.Items[0], in.Items[3], in.Items[5]}}
	if diff := cmp.Diff(want, got.Nodes); diff != "" {
		t.Errorf("nodes (-want +got):\n%s", diff)
	}
	if got.NodeNames != nil || len(got.FailedNodes) != 2 || len(got.FailedAndUnresolvableNodes) != 1 {
		t.Errorf("got %+v", got)
	}
	var scores extenderv1.HostPriorityList
	r.post(t, "/scheduler/prioritize", extenderv1.ExtenderArgs{Pod: extendertest.Managed("a", "", "GPU", nil, gpu, "1"), Nodes: in}, &scores)
	if len(scores) != len(extendertest.EveryNode)-1 || scores[0].Host != "idle" { // the unknown one has the lowest
		t.Errorf("scores of full nodes: %v", scores)
	}
}

func TestPrioritize(t *testing.T) {
	r := newRig(t, extendertest.Fixed)
	r.SetGPUNodes()
	names := []string{"unknown", "stale", "idle"}
	var got extenderv1.HostPriorityList
	r.post(t, "/scheduler/prioritize", extenderv1.ExtenderArgs{Pod: extendertest.Managed("a", "", "GPU", nil, gpu, "1"), NodeNames: &names}, &got)
	want := extenderv1.HostPriorityList{ // the unknown one has 0
		{Host: "stale", Score: 1}, // 1 + round(2·0)
		{Host: "idle", Score: 6},  // 4 + round(4·0 + 2·¾)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("prioritize (-want +got):\n%s", diff)
	}
}

func TestLowerCaseKeysAndNumbers(t *testing.T) {
	r := newRig(t, extendertest.Fixed)
	r.SetGPUNodes()
	body := json.RawMessage(`{"pod":{"spec":{"containers":[{"resources":{"requests":{"gpu.intel.com/i915":1}}}]}},"nodenames":["sick","idle"]}`)
	var got extenderv1.ExtenderFilterResult
	r.post(t, "/scheduler/filter", body, &got)
	if diff := cmp.Diff([]string{"idle"}, *got.NodeNames); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
}

// A pod that nobody can read is a failure to place it: a 200 with an Error.
func TestPodThatCannotBeRead(t *testing.T) {
	r := newRig(t, extendertest.Fixed)
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

func TestOddNamesSurvive(t *testing.T) {
	r := newRig(t, extendertest.Fixed)
	names := []string{`a"b`, `back\slash`, "é", "<&>", "\u2028", "line\nbreak", "\x7f", ""}
	got := r.filter(t, extendertest.Managed("a", "", "GPU", nil, gpu, "1"), names...)
	if diff := cmp.Diff(names, *got.NodeNames); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
}

// The history is of a bounded number of nodes, and points into no request's
// body.
func TestHistoryIsBounded(t *testing.T) {
	r := newRig(t, extendertest.Fixed)
	var sick []string
	for i := range 30 {
		name := fmt.Sprintf("sick-%02d", i)
		r.SetNode(name, nil, gpu, "1")
		r.Scrape(name, time.Second, extendertest.Device("GPU", "g", gpu, extendertest.Unhealthy))
		sick = append(sick, name)
	}
	r.filter(t, extendertest.Managed("a", "", "GPU", nil, gpu, "1"), append(sick, "unknown")...)
	for i := range 50 { // bodies that reuse the first one's buffer
		r.filter(t, extendertest.Managed(fmt.Sprintf("other-%d", i), "", "GPU", nil, gpu, "1"), strings.Repeat("z", 900))
	}
	call, ok := r.history.Filter("uid-a")
	if !ok || call.Passed != 1 || call.Rejected != 30 || len(call.Nodes) != history.MaxNodes {
		t.Fatalf("got %+v, %v", call, ok)
	}
	if diff := cmp.Diff(history.Node{Name: "sick-00", Message: "GPU g is unhealthy"}, call.Nodes[0]); diff != "" {
		t.Errorf("first (-want +got):\n%s", diff)
	}
}
