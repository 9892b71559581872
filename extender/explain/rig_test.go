package explain

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/rs/zerolog"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"heteroaccel.io/extender/bypass"
	"heteroaccel.io/extender/extendertest"
	"heteroaccel.io/extender/history"
	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/journal"
	"heteroaccel.io/pkg/kube"
	"heteroaccel.io/pkg/schedulerconfig"
	"heteroaccel.io/pkg/serve"
)

// rig serves the pages of a cluster.
type rig struct {
	*httptest.Server
	*extendertest.Cluster
	pages    *Pages
	history  *history.Store
	bypassed []bypass.Report
	// twofold is set while another replica runs.
	twofold bool
	// conflicts are why nodes' telemetry is ignored.
	conflicts map[string]string
	// suspended and notRecreated are what the webhook reports.
	suspended    bool
	notRecreated []kube.NotRecreated
	// decided is what the webhook decided, and missing what is not known of that.
	decided *journal.Journal
	missing []string
	// mayList is what whoever asks may list.
	mayList func(resource schema.GroupResource, namespace string) (bool, error)
}

// newRig starts an hour before Now.
func newRig(tb testing.TB) *rig {
	tb.Helper()
	r := &rig{
		Cluster: extendertest.New(tb, extendertest.Fixed),
		decided: journal.New(100),
		mayList: func(schema.GroupResource, string) (bool, error) { return true, nil },
	}
	var err error
	if r.history, err = history.New(extendertest.Now.Add(-time.Hour)); err != nil {
		tb.Fatal(err)
	}
	router := serve.Router(zerolog.New(zerolog.NewTestWriter(tb)))
	r.pages = New(Config{
		Inventory: r.Inventory, Profiles: r.Profiles, History: r.history,
		Bypassed:     func() []bypass.Report { return r.bypassed },
		Alone:        func() bool { return !r.twofold },
		Conflict:     func(node string) string { return r.conflicts[node] },
		Decisions:    r.decided,
		Missing:      func() []string { return r.missing },
		Suspended:    func() bool { return r.suspended },
		NotRecreated: func() []kube.NotRecreated { return r.notRecreated },
		MayList: func(_ *http.Request, resource schema.GroupResource, namespace string) (bool, error) {
			return r.mayList(resource, namespace)
		},
		VerbsAt: schedulerconfig.Endpoint{URL: "http://10.96.0.9:8888/scheduler"},
	})
	r.pages.Route(router)
	router.NotFound(r.pages.NotFound)
	r.Server = httptest.NewServer(router)
	tb.Cleanup(r.Close)
	return r
}

func (r *rig) get(tb testing.TB, path string, edits ...func(*http.Request)) (status int, contentType, body string) {
	tb.Helper()
	return extendertest.Get(tb, r.URL+path, edits...)
}

// golden compares with a file of testdata, and writes it when UPDATE_GOLDEN is
// set.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if os.Getenv("UPDATE_GOLDEN") != "" {
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

// scene is a small cluster with one of everything that pages show.
func scene(t *testing.T) *rig {
	r := newRig(t)
	r.SetNode("node-g", nil, extendertest.GPU, "1")
	r.SetNode("node-f", func(n *corev1.Node) { n.Spec.Unschedulable = true }, extendertest.FPGA, "1")
	r.SetNode("node-n", func(n *corev1.Node) {
		n.Spec.Taints = []corev1.Taint{{Key: "room", Value: "lab", Effect: corev1.TaintEffectNoSchedule}}
	}, extendertest.NPU, "2", extendertest.GPU, "1")
	r.SetNode("node-s", nil, extendertest.GPU, "4", "smarter-devices/fuse", "5")
	r.SetNode("node-u", nil, extendertest.GPU, "1")
	r.SetNode("node-z", nil, extendertest.GPU, "1")

	for _, p := range []*corev1.Pod{
		extendertest.Managed("face-0", "node-g", "GPU", nil, extendertest.GPU, "1"),
		extendertest.Managed("face-1", "node-n", "NPU", nil, extendertest.NPU, "1"),
		extendertest.Managed("face-2", "node-n", "NPU", nil, extendertest.NPU, "1"),
		extendertest.Managed("face-3", "node-g", "CPU", nil, "cpu", "2"),
		extendertest.Managed("share-1", "node-s", "GPU", nil, extendertest.GPU, "1"),
		extendertest.Managed("waiter", "", "GPU", func(p *corev1.Pod) {
			p.Annotations[accel.ReasonAnnotation] = "nothing better is idle: waits for GPU (0 of 7 free), expected to finish first, in 3s; CPU busy (0 of 4 free), 12s\x1b[2J"
		}, extendertest.GPU, "1"),
		extendertest.Managed("picky", "", "GPU", func(p *corev1.Pod) {
			p.Spec.NodeSelector = map[string]string{"room": "node-g"}
		}, extendertest.GPU, "1"),
		extendertest.Managed("volume", "", "GPU", func(p *corev1.Pod) {
			p.Spec.Priority = new(int32(100))
			p.Status.Conditions = unschedulable("0/6 nodes are available: 2 Insufficient gpu.intel.com/i915, 4 node(s) didn't match PersistentVolume's node affinity.")
		}, extendertest.GPU, "1"),
		extendertest.Managed("crowd", "", "CPU", func(p *corev1.Pod) {
			p.Status.Conditions = unschedulable("0/6 nodes are available: 6 Insufficient cpu.")
		}, "cpu", "7"),
	} {
		r.SetPod(p)
	}
	r.Scrape("node-g", 2*time.Second, extendertest.Device("GPU", "0000:00:02.0", extendertest.GPU, extendertest.Allocated("face-0"), func(d *accel.Device) {
		d.Vendor, d.Model, d.Driver = "Intel", "TigerLake-LP GT2 [Iris Xe Graphics]", "i915"
		d.PluginID, d.NUMA, d.Busy = "card0-0", new(0), new(0.625)
	}))
	r.Scrape("node-f", 3*time.Second, extendertest.Device("FPGA", "0000:3b:00.0", extendertest.FPGA))
	r.Scrape("node-n", 4*time.Second, extendertest.Device("NPU", "1-1.2", extendertest.NPU, extendertest.Allocated("face-1")), extendertest.Device("NPU", "1-1.3", extendertest.NPU),
		extendertest.Device("GPU", "0000:01:00.0", extendertest.GPU, extendertest.InUse))
	r.Scrape("node-s", time.Minute, extendertest.Device("GPU", "0000:03:00.0", extendertest.GPU, func(d *accel.Device) { d.Slots = 4 }))
	r.Scrape("node-u", 2*time.Second, extendertest.Device("GPU", "0000:00:02.0", extendertest.GPU, extendertest.Unhealthy))
	return r
}

// unschedulable are the conditions of a pod for which kube-scheduler found no
// node.
func unschedulable(message string) []corev1.PodCondition {
	return []corev1.PodCondition{{
		Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: corev1.PodReasonUnschedulable,
		Message: message, LastTransitionTime: metav1.NewTime(extendertest.Now.Add(-80 * time.Second)),
	}}
}
