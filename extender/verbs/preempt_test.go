package verbs

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	extenderv1 "k8s.io/kube-scheduler/extender/v1"

	"heteroaccel.io/extender/extendertest"
	"heteroaccel.io/pkg/accel"
)

// victims are pods to be evicted, by UID.
func victims(violations int64, uids ...string) *extenderv1.MetaVictims {
	v := &extenderv1.MetaVictims{Pods: []*extenderv1.MetaPod{}, NumPDBViolations: violations}
	for _, uid := range uids {
		v.Pods = append(v.Pods, &extenderv1.MetaPod{UID: uid})
	}
	return v
}

// heldNodes are the nodes of SetGPUNodes with their GPU held by "low-NODE", and
// one that has a good GPU beside the unusable one.
func heldNodes(r *rig) {
	r.SetGPUNodes()
	r.SetNode("mixed", nil, gpu, "2")
	r.Scrape("mixed", 2*time.Second, extendertest.Device("GPU", "a", gpu, extendertest.Unhealthy, extendertest.Allocated("low-mixed")), extendertest.Device("GPU", "b", gpu, extendertest.Allocated("good")))
	for _, node := range []string{"idle", "sick", "taken", "stale", "mixed"} {
		r.SetPod(extendertest.Managed("low-"+node, node, "GPU", nil, gpu, "1"))
	}
	r.SetPod(extendertest.Managed("good", "mixed", "GPU", nil, gpu, "1"))
	r.SetPod(&corev1.Pod{ // holds no device
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "hog", UID: "uid-hog"},
		Spec:       corev1.PodSpec{NodeName: "mixed", Containers: []corev1.Container{{Resources: corev1.ResourceRequirements{Requests: extendertest.List("memory", "8Gi")}}}},
	})
}

func TestPreempt(t *testing.T) {
	type m = map[string]*extenderv1.MetaVictims
	r := newRig(t, extendertest.Fixed)
	heldNodes(r)
	pinned := extendertest.Pinned("high", gpu, "1")
	tests := map[string]struct {
		pod        *corev1.Pod
		candidates m
		want       m
	}{
		"the device that they hold is unusable": {nil, m{"sick": victims(0, "uid-low-sick"), "taken": victims(0, "uid-low-taken")}, m{}},
		"a good device is freed":                {nil, m{"idle": victims(2, "uid-low-idle"), "sick": victims(0, "uid-low-sick")}, m{"idle": victims(2, "uid-low-idle")}},
		"stale telemetry":                       {nil, m{"stale": victims(0, "uid-low-stale")}, m{"stale": victims(0, "uid-low-stale")}},
		"unknown node":                          {nil, m{"elsewhere": victims(1, "uid-x")}, m{"elsewhere": victims(1, "uid-x")}},
		"no device at all":                      {nil, m{"without": victims(0, "uid-x")}, m{"without": victims(0, "uid-x")}},
		"two devices, the good one freed":       {nil, m{"mixed": victims(0, "uid-good")}, m{"mixed": victims(0, "uid-good")}},
		"two devices, the unusable one freed":   {nil, m{"mixed": victims(0, "uid-low-mixed")}, m{}},
		"two devices, both freed":               {nil, m{"mixed": victims(0, "uid-good", "uid-low-mixed")}, m{"mixed": victims(0, "uid-good", "uid-low-mixed")}},
		"a victim without any device":           {nil, m{"mixed": victims(0, "uid-hog")}, m{}},
		"an unknown victim":                     {nil, m{"mixed": victims(0, "uid-nobody")}, m{"mixed": victims(0, "uid-nobody")}},
		"an unknown victim, no good device":     {nil, m{"sick": victims(0, "uid-nobody")}, m{}},
		"a victim of another node's":            {nil, m{"mixed": victims(0, "uid-low-sick")}, m{}},
		"no candidates":                         {nil, m{}, m{}},
		"no victims are named":                  {nil, m{"idle": victims(0), "sick": nil}, m{"idle": victims(0)}},
		"a null is not sent back":               {nil, m{"idle": nil, "elsewhere": {Pods: []*extenderv1.MetaPod{nil, {UID: "uid-x"}}}}, m{"idle": victims(0), "elsewhere": victims(0, "uid-x")}},
		"pinned by hand":                        {pinned, m{"sick": victims(0, "uid-low-sick"), "idle": victims(0, "uid-low-idle")}, m{"idle": victims(0, "uid-low-idle")}},
		"needs no device":                       {extendertest.Managed("high", "", "CPU", nil, "cpu", "2"), m{"sick": victims(0, "uid-low-sick")}, m{"sick": victims(0, "uid-low-sick")}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if tt.pod == nil {
				tt.pod = extendertest.Managed("high", "", "GPU", nil, gpu, "1")
			}
			if diff := cmp.Diff(tt.want, r.preempt(t, tt.pod, tt.candidates)); diff != "" {
				t.Errorf("candidates (-want +got):\n%s", diff)
			}
		})
	}
	const metrics = `
# HELP heteroaccel_extender_preemption_nodes_rejected_total Candidate nodes that preempt rejected because evicting pods would free no usable device, by reason.
# TYPE heteroaccel_extender_preemption_nodes_rejected_total counter
heteroaccel_extender_preemption_nodes_rejected_total{reason="external_use"} 1
heteroaccel_extender_preemption_nodes_rejected_total{reason="unhealthy"} 8
`
	if err := testutil.GatherAndCompare(r.reg, strings.NewReader(metrics), "heteroaccel_extender_preemption_nodes_rejected_total"); err != nil {
		t.Error(err)
	}
}

// kube-scheduler comes as soon as a victim is gone, which our informer may not
// have shown yet: the filter waits a moment for a newer record, and no longer.
func TestFilterCatchesUp(t *testing.T) {
	r := newRig(t, extendertest.Fixed)
	heldNodes(r)
	high := extendertest.Managed("high", "", "GPU", nil, gpu, "1")
	if got := r.filter(t, high, "mixed"); len(got.FailedNodes) != 1 {
		t.Fatalf("with both devices held, one of them unusable: %+v", got)
	}
	for delay := range 5 {
		r.SetPod(extendertest.Managed("good", "mixed", "GPU", nil, gpu, "1"))
		gone := time.AfterFunc(time.Duration(delay)*5*time.Millisecond, func() { r.DeletePod("default", "good") })
		got := r.filter(t, high, "mixed")
		gone.Stop()
		if diff := cmp.Diff([]string{"mixed"}, *got.NodeNames); diff != "" {
			t.Errorf("the holder of the good device goes after %d ms (-want +got):\n%s", 5*delay, diff)
		}
	}
	r.SetPod(extendertest.Managed("good", "mixed", "GPU", nil, gpu, "1"))
	gone := time.AfterFunc(10*time.Millisecond, func() { r.DeletePod("default", "low-mixed") })
	got := r.filter(t, high, "mixed")
	gone.Stop()
	if len(got.FailedNodes) != 1 {
		t.Errorf("the holder of the unusable device goes: %+v", got)
	}
}

// A scheduler whose extender is not nodeCacheCapable sends whole pods; what is
// answered is the same.
func TestPreemptFullVictims(t *testing.T) {
	r := newRig(t, extendertest.Fixed)
	heldNodes(r)
	full := func(node string) *extenderv1.Victims {
		return &extenderv1.Victims{Pods: []*corev1.Pod{extendertest.Managed("low-"+node, node, "GPU", nil, gpu, "1")}, NumPDBViolations: 3}
	}
	args := extenderv1.ExtenderPreemptionArgs{
		Pod:               extendertest.Managed("high", "", "GPU", nil, gpu, "1"),
		NodeNameToVictims: map[string]*extenderv1.Victims{"sick": full("sick"), "idle": full("idle")},
	}
	var got extenderv1.ExtenderPreemptionResult
	r.post(t, "/scheduler/preempt", args, &got)
	want := extenderv1.ExtenderPreemptionResult{NodeNameToMetaVictims: map[string]*extenderv1.MetaVictims{"idle": victims(3, "uid-low-idle")}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("result (-want +got):\n%s", diff)
	}
}

// kube-scheduler reads no body but a 200's, and then goes on with all its
// candidates: what cannot be read is refused.
func TestPreemptGarbage(t *testing.T) {
	r := newRig(t, extendertest.Fixed)
	heldNodes(r)
	tests := map[string]struct {
		body     string
		status   int
		sentence string
	}{
		"empty":           {"", 400, "the body is empty: send a JSON object"},
		"not JSON":        {"hello", 400, "the body is not the JSON of ExtenderPreemptionArgs that kube-scheduler sends"},
		"cut off":         {`{"Pod":{"metadata":`, 400, "the body is not the JSON of ExtenderPreemptionArgs that kube-scheduler sends"},
		"no UTF-8":        {"{\"Pod\":{},\"NodeNameToMetaVictims\":{\"\xff\":{}}}", 400, "the body is not valid UTF-8"},
		"no pod":          {`{"NodeNameToMetaVictims":{}}`, 400, "the body holds no Pod: send ExtenderPreemptionArgs, as kube-scheduler does"},
		"no candidates":   {`{"Pod":{},"NodeNameToMetaVictims":null}`, 400, "the body holds neither NodeNameToMetaVictims nor NodeNameToVictims: send ExtenderPreemptionArgs, as kube-scheduler does"},
		"unreadable pod":  {`{"Pod":{"spec":{"containers":[{"resources":{"requests":{"cpu":"many"}}}]}},"NodeNameToMetaVictims":{}}`, 400, ""},
		"wrong type":      {`{"Pod":{},"NodeNameToMetaVictims":{"a":{"NumPDBViolations":"x"}}}`, 400, "the body is not the JSON of ExtenderPreemptionArgs that kube-scheduler sends"},
		"huge":            {strings.Repeat("x", 50<<20), 413, ""},
		"lower-case keys": {`{"pod":{"spec":{"containers":[{"resources":{"requests":{"gpu.intel.com/i915":1}}}]}},"nodenametometavictims":{"sick":{"pods":[{"uid":"uid-low-sick"}]}}}`, 200, ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			resp, err := http.Post(r.URL+"/scheduler/preempt", "application/json", strings.NewReader(tt.body))
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			var body struct {
				Error                 string
				NodeNameToMetaVictims map[string]any
			}
			if err := json.NewDecoder(resp.Body).Decode(&body); err != nil {
				t.Fatalf("%s: %v", resp.Status, err)
			}
			if resp.StatusCode != tt.status || tt.sentence != "" && body.Error != tt.sentence || (body.Error == "") != (tt.status == 200) || len(body.NodeNameToMetaVictims) > 0 {
				t.Errorf("got %d %+v, want %d %q", resp.StatusCode, body, tt.status, tt.sentence)
			}
		})
	}
}

// With ManagedOnly pods that are not ours are left alone: by what the inventory
// says, whatever the pod claims, and by the pod's claim until the inventory
// knows it.
func TestManagedOnly(t *testing.T) {
	foreign := func(name string) *corev1.Pod { return extendertest.Pinned(name, gpu, "1") }
	claims := func(p *corev1.Pod) *corev1.Pod {
		p.Annotations = map[string]string{accel.SelectedAnnotation: "GPU"}
		return p
	}
	for _, only := range []bool{false, true} {
		r := newRig(t, extendertest.Fixed, func(c *Config) { c.ManagedOnly = only })
		heldNodes(r)
		r.SetPod(claims(foreign("shown")))
		ours := extendertest.Managed("ours", "", "GPU", nil, gpu, "1")
		r.SetPod(ours)
		kept := []string{"idle", "stale", "without", "unknown"}
		tests := map[string]struct {
			pod  *corev1.Pod
			only []string // what passes with ManagedOnly
			not  []string // without
		}{
			"ours":                       {ours, []string{"idle", "stale", "unknown"}, []string{"idle", "stale", "unknown"}},
			"not shown, claims nothing":  {foreign("a"), extendertest.EveryNode, kept},
			"not shown, claims to be":    {claims(foreign("b")), []string{"idle", "stale", "unknown"}, []string{"idle", "stale", "unknown"}},
			"claims to be, known not to": {claims(foreign("shown")), extendertest.EveryNode, kept},
		}
		for name, tt := range tests {
			want := tt.not
			if only {
				want = tt.only
			}
			if diff := cmp.Diff(want, *r.filter(t, tt.pod, extendertest.EveryNode...).NodeNames); diff != "" {
				t.Errorf("only %v, %s (-want +got):\n%s", only, name, diff)
			}
		}
		var scores extenderv1.HostPriorityList
		r.post(t, "/scheduler/prioritize", extenderv1.ExtenderArgs{Pod: foreign("a"), NodeNames: &extendertest.EveryNode}, &scores)
		if (len(scores) == 0) != only {
			t.Errorf("only %v: scores of a pod that is not ours: %v", only, scores)
		}
		left := r.preempt(t, foreign("a"), map[string]*extenderv1.MetaVictims{"sick": victims(0, "uid-low-sick")})
		if (len(left) == 1) != only {
			t.Errorf("only %v: candidates of a pod that is not ours: %v", only, left)
		}
	}
}

// The follower's set of pods does not grow with those that are gone.
func TestFollowerForgets(t *testing.T) {
	r := newRig(t, extendertest.Fixed)
	heldNodes(r)
	pod := extendertest.Managed("high", "", "GPU", nil, gpu, "1")
	candidates := map[string]*extenderv1.MetaVictims{"mixed": victims(0, "uid-hog")}
	if got := r.preempt(t, pod, candidates); len(got) != 0 {
		t.Errorf("a known victim without a device: %v", got)
	}
	r.DeletePod("default", "hog")
	if got := r.preempt(t, pod, candidates); len(got) != 1 {
		t.Errorf("a victim that is gone is an unknown one: %v", got)
	}
}
