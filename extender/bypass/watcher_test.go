package bypass

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/rs/zerolog"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"heteroaccel.io/extender/extendertest"
	"heteroaccel.io/extender/history"
)

// rig is a watcher and what it reads, with a clock that can be moved.
type rig struct {
	*extendertest.Cluster
	*Watcher
	clock time.Time
	ready error
	reg   *prometheus.Registry
	log   bytes.Buffer
}

func newRig(t *testing.T) *rig {
	r := &rig{clock: extendertest.Now, reg: prometheus.NewRegistry()}
	now := func() time.Time { return r.clock }
	r.Cluster = extendertest.New(t, now)
	calls, err := history.New(r.clock)
	if err != nil {
		t.Fatal(err)
	}
	r.Watcher = New(Config{
		Inventory: r.Cluster.Inventory, Profiles: r.Cluster.Profiles, History: calls, Ready: func() error { return r.ready },
		Other:      func(p *corev1.Pod) bool { return p.Namespace == "heteroaccel-system" },
		Registerer: r.reg, Log: zerolog.New(&r.log),
	})
	r.FollowPods(r.Watcher.SetPod, r.Watcher.DeletePod)
	return r
}

// ask is a filter call of kube-scheduler for a pod.
func (r *rig) ask(p *corev1.Pod) {
	r.History.SetFilter(string(p.UID), history.Call{Time: r.clock})
	r.AskedAbout(extendertest.Record(p).Needs, r.clock)
}

// appear shows a pod that was created now, unbound.
func (r *rig) appear(name, resource string, edits ...func(*corev1.Pod)) *corev1.Pod {
	p := extendertest.Managed(name, "", "", nil, resource, "1")
	p.Spec.SchedulerName = "default-scheduler"
	p.CreationTimestamp = metav1.NewTime(r.clock.Truncate(time.Second))
	for _, edit := range edits {
		edit(p)
	}
	r.Cluster.SetPod(p)
	return p
}

func (r *rig) bind(p *corev1.Pod) {
	q := p.DeepCopy()
	q.Spec.NodeName = "n"
	r.Cluster.SetPod(q)
}

// reported are the resources of the report, with how many pods each.
func (r *rig) reported() map[string]int64 {
	got := map[string]int64{}
	for _, report := range r.Report() {
		got[report.Resource] = report.Pods
	}
	return got
}

func TestReport(t *testing.T) {
	const elsewhere = "example.com/of-no-profile"
	const settled = settling + time.Second
	tests := map[string]struct {
		run  func(*rig)
		want map[string]int64
	}{
		"bound unasked": {func(r *rig) {
			r.bind(r.appear("a", extendertest.NPU))
			r.bind(r.appear("b", extendertest.NPU))
		}, map[string]int64{extendertest.NPU: 2}},
		"asked about": {func(r *rig) {
			p := r.appear("a", extendertest.NPU)
			r.ask(p)
			r.bind(p)
		}, map[string]int64{}},
		"asked about before it was shown": {func(r *rig) {
			p := extendertest.Managed("a", "", "", func(p *corev1.Pod) {
				p.Spec.Containers[0].Resources.Requests = extendertest.List(extendertest.NPU, "1")
				p.CreationTimestamp = metav1.NewTime(r.clock)
			})
			r.ask(p)
			r.Cluster.SetPod(p)
			r.bind(p)
		}, map[string]int64{}},
		"still unbound":                {func(r *rig) { r.appear("a", extendertest.NPU) }, map[string]int64{}},
		"of no profile":                {func(r *rig) { r.bind(r.appear("a", elsewhere)) }, map[string]int64{}},
		"needs no device":              {func(r *rig) { r.bind(r.appear("a", "cpu")) }, map[string]int64{}},
		"bound when it was seen first": {func(r *rig) { r.appear("a", extendertest.NPU, func(p *corev1.Pod) { p.Spec.NodeName = "n" }) }, map[string]int64{}},
		"another of the same name": {func(r *rig) {
			p := r.appear("a", extendertest.NPU).DeepCopy()
			p.UID = "uid-another"
			r.bind(p)
		}, map[string]int64{}},
		"gone unbound": {func(r *rig) {
			p := r.appear("a", extendertest.NPU)
			r.Cluster.DeletePod(p.Namespace, p.Name)
			r.bind(p)
		}, map[string]int64{}},
		"created before the extender could be reached": {func(r *rig) {
			r.bind(r.appear("a", extendertest.NPU, func(p *corev1.Pod) { p.CreationTimestamp = metav1.NewTime(extendertest.Now) }))
		}, map[string]int64{}},
		"two resources at once": {func(r *rig) {
			r.bind(r.appear("a", extendertest.NPU, func(p *corev1.Pod) {
				p.Spec.Containers[0].Resources.Requests = extendertest.List(extendertest.NPU, "1", extendertest.GPU, "1")
			}))
		}, map[string]int64{extendertest.NPU: 1, extendertest.GPU: 1}},
		"and asked about once the scheduler was told": {func(r *rig) {
			r.bind(r.appear("a", extendertest.NPU))
			r.clock = r.clock.Add(time.Minute)
			r.ask(r.appear("b", extendertest.NPU))
		}, map[string]int64{}},
		"and not reached again": {func(r *rig) {
			r.ask(r.appear("a", extendertest.NPU))
			r.clock = r.clock.Add(time.Minute)
			r.bind(r.appear("b", extendertest.NPU))
		}, map[string]int64{extendertest.NPU: 1}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.appear("first", extendertest.NPU) // with this one the extender notices that it is ready
			r.clock = r.clock.Add(settled)
			tt.run(r)
			if diff := cmp.Diff(tt.want, r.reported()); diff != "" {
				t.Errorf("reported (-want +got):\n%s", diff)
			}
		})
	}
}

// Just after a start nobody is accused: pods that were bound then may have been
// asked about before, or the scheduler could not reach the extender yet.
func TestReportAfterAStart(t *testing.T) {
	r := newRig(t)
	r.ready = errors.New("waiting for the list of pods")
	old := r.appear("old", extendertest.NPU)
	r.clock = r.clock.Add(time.Hour)
	r.bind(r.appear("not-ready", extendertest.NPU))
	r.ready = nil
	r.bind(r.appear("just-ready", extendertest.NPU))
	r.bind(old)
	if diff := cmp.Diff(map[string]int64{}, r.reported()); diff != "" {
		t.Errorf("reported (-want +got):\n%s", diff)
	}
	r.clock = r.clock.Add(settling)
	r.bind(r.appear("later", extendertest.NPU))
	if diff := cmp.Diff(map[string]int64{extendertest.NPU: 1}, r.reported()); diff != "" {
		t.Errorf("reported (-want +got):\n%s", diff)
	}
}

// Each report says what to do, and the log says it once.
func TestMessages(t *testing.T) {
	r := newRig(t)
	r.appear("first", extendertest.NPU)
	r.clock = r.clock.Add(settling)
	for _, name := range []string{"a", "b", "c"} {
		r.bind(r.appear(name, extendertest.NPU))
	}
	r.ask(r.appear("asked", extendertest.GPU))
	r.clock = r.clock.Add(time.Second)
	r.bind(r.appear("d", extendertest.GPU, func(p *corev1.Pod) { p.Spec.SchedulerName = "another" }))

	const add = "default-scheduler bound 3 pods that request npu.intel.com/accel without asking the extender (the last is default/c): " +
		"add npu.intel.com/accel to managedResources in the scheduler's configuration, as GET /scheduler/config prints it; if it is there, the scheduler cannot reach the extender at its urlPrefix"
	const reach = "another bound a pod that requests gpu.intel.com/i915 without asking the extender (default/d): " +
		"the extender was asked about gpu.intel.com/i915 before, so the scheduler could not reach it, or this is another scheduler: see the scheduler's log"
	var got []string
	for _, report := range r.Report() {
		got = append(got, report.Message)
	}
	if diff := cmp.Diff([]string{reach, add}, got); diff != "" {
		t.Errorf("messages (-want +got):\n%s", diff)
	}
	if n := strings.Count(r.log.String(), "bound without asking the extender"); n != 2 {
		t.Errorf("%d warnings, want one for each resource:\n%s", n, r.log.String())
	}
}

// TestCounters: every resource of a profile is there from the start.
func TestCounters(t *testing.T) {
	r := newRig(t)
	r.appear("first", extendertest.NPU)
	r.clock = r.clock.Add(settling)
	for _, name := range []string{"a", "b"} {
		r.bind(r.appear(name, extendertest.NPU))
	}
	asked := r.appear("asked", extendertest.NPU)
	r.ask(asked)
	r.bind(asked)
	const metrics = `
# HELP heteroaccel_extender_asked_pods_total Pods that request a profile's resource and were bound after this extender was asked about them, by resource.
# TYPE heteroaccel_extender_asked_pods_total counter
heteroaccel_extender_asked_pods_total{resource="fpga.intel.com/region"} 0
heteroaccel_extender_asked_pods_total{resource="gpu.intel.com/i915"} 0
heteroaccel_extender_asked_pods_total{resource="npu.intel.com/accel"} 1
# HELP heteroaccel_extender_bypassed_pods_total Pods that request a profile's resource and were bound without this extender being asked, by resource.
# TYPE heteroaccel_extender_bypassed_pods_total counter
heteroaccel_extender_bypassed_pods_total{resource="fpga.intel.com/region"} 0
heteroaccel_extender_bypassed_pods_total{resource="gpu.intel.com/i915"} 0
heteroaccel_extender_bypassed_pods_total{resource="npu.intel.com/accel"} 2
`
	if err := testutil.GatherAndCompare(r.reg, strings.NewReader(metrics)); err != nil {
		t.Error(err)
	}
}

// TestTwoReplicas: what one is not asked about the other may have been, so neither
// says that nobody was; each counts what it was asked about, so that their sum tells.
func TestTwoReplicas(t *testing.T) {
	r := newRig(t)
	r.appear("first", extendertest.NPU)
	r.clock = r.clock.Add(settling)
	other := func(phase corev1.PodPhase) *corev1.Pod {
		return &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Namespace: "heteroaccel-system", Name: "extender-2"},
			Spec:       corev1.PodSpec{NodeName: "n"}, Status: corev1.PodStatus{Phase: phase},
		}
	}
	r.Cluster.SetPod(other(corev1.PodPending))
	if !r.Alone() {
		t.Error("a replica that has not started yet could be asked")
	}
	r.Cluster.SetPod(other(corev1.PodRunning))
	if r.Alone() {
		t.Error("the other replica is not seen")
	}
	r.bind(r.appear("of-the-other", extendertest.NPU))
	mine := r.appear("mine", extendertest.NPU)
	r.ask(mine)
	r.bind(mine)
	if diff := cmp.Diff(map[string]int64{}, r.reported()); diff != "" || strings.Contains(r.log.String(), "without asking") {
		t.Errorf("reported (-want +got):\n%s\n%s", diff, r.log.String())
	}
	if diff := cmp.Diff(counts{asked: 1, bypassed: 1}, r.bound[extendertest.NPU], cmp.AllowUnexported(counts{})); diff != "" {
		t.Errorf("counted (-want +got):\n%s", diff)
	}
	r.Cluster.DeletePod("heteroaccel-system", "extender-2")
	r.bind(r.appear("of-nobody", extendertest.NPU))
	if diff := cmp.Diff(map[string]int64{extendertest.NPU: 1}, r.reported()); diff != "" || !r.Alone() {
		t.Errorf("reported (-want +got):\n%s", diff)
	}
}
