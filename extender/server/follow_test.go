package server

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// asks is a rig whose clock can be moved.
type asks struct {
	*rig
	clock time.Time
}

func newAsks(t *testing.T) *asks {
	a := &asks{clock: now}
	a.rig = newRig(t, func() time.Time { return a.clock })
	return a
}

// appear shows a pod that was created now, unbound.
func (a *asks) appear(name, resource string, edits ...func(*corev1.Pod)) *corev1.Pod {
	p := managed(name, "", "", nil)
	p.Spec.Containers[0].Resources.Requests = list(resource, "1")
	p.Spec.SchedulerName = "default-scheduler"
	p.CreationTimestamp = metav1.NewTime(a.clock.Truncate(time.Second))
	for _, edit := range edits {
		edit(p)
	}
	a.pod(p)
	return p
}

func (a *asks) bind(p *corev1.Pod) {
	q := p.DeepCopy()
	q.Spec.NodeName = "n"
	a.pod(q)
}

// reported are the resources on GET /, with how many pods each.
func (a *asks) reported(t *testing.T) map[string]int64 {
	t.Helper()
	_, _, body := a.get(t, "/?format=json")
	var v struct{ Unasked []unaskedView }
	if err := json.Unmarshal([]byte(body), &v); err != nil {
		t.Fatal(err)
	}
	got := map[string]int64{}
	for _, u := range v.Unasked {
		got[u.Resource] = u.Pods
	}
	return got
}

func TestUnasked(t *testing.T) {
	const elsewhere = "example.com/of-no-profile"
	const settled = settling + time.Second
	tests := map[string]struct {
		run  func(*testing.T, *asks)
		want map[string]int64
	}{
		"bound unasked": {func(t *testing.T, a *asks) {
			a.bind(a.appear("a", npu))
			a.bind(a.appear("b", npu))
		}, map[string]int64{npu: 2}},
		"asked about": {func(t *testing.T, a *asks) {
			p := a.appear("a", npu)
			a.filter(t, p, "n")
			a.bind(p)
		}, map[string]int64{}},
		"asked about before it was shown": {func(t *testing.T, a *asks) {
			p := managed("a", "", "", func(p *corev1.Pod) {
				p.Spec.Containers[0].Resources.Requests = list(npu, "1")
				p.CreationTimestamp = metav1.NewTime(a.clock)
			})
			a.filter(t, p, "n")
			a.pod(p)
			a.bind(p)
		}, map[string]int64{}},
		"still unbound":                {func(t *testing.T, a *asks) { a.appear("a", npu) }, map[string]int64{}},
		"of no profile":                {func(t *testing.T, a *asks) { a.bind(a.appear("a", elsewhere)) }, map[string]int64{}},
		"needs no device":              {func(t *testing.T, a *asks) { a.bind(a.appear("a", "cpu")) }, map[string]int64{}},
		"bound when it was seen first": {func(t *testing.T, a *asks) { a.appear("a", npu, func(p *corev1.Pod) { p.Spec.NodeName = "n" }) }, map[string]int64{}},
		"another of the same name": {func(t *testing.T, a *asks) {
			p := a.appear("a", npu).DeepCopy()
			p.UID = "uid-another"
			a.bind(p)
		}, map[string]int64{}},
		"gone unbound": {func(t *testing.T, a *asks) {
			p := a.appear("a", npu)
			a.inv.DeletePod(p.Namespace, p.Name)
			a.remove(podName(p))
			a.bind(p)
		}, map[string]int64{}},
		"created before the extender could be reached": {func(t *testing.T, a *asks) {
			a.bind(a.appear("a", npu, func(p *corev1.Pod) { p.CreationTimestamp = metav1.NewTime(now) }))
		}, map[string]int64{}},
		"two resources at once": {func(t *testing.T, a *asks) {
			a.bind(a.appear("a", npu, func(p *corev1.Pod) { p.Spec.Containers[0].Resources.Requests = list(npu, "1", gpu, "1") }))
		}, map[string]int64{npu: 1, gpu: 1}},
		"and asked about once the scheduler was told": {func(t *testing.T, a *asks) {
			a.bind(a.appear("a", npu))
			a.clock = a.clock.Add(time.Minute)
			a.filter(t, a.appear("b", npu), "n")
		}, map[string]int64{}},
		"and not reached again": {func(t *testing.T, a *asks) {
			a.filter(t, a.appear("a", npu), "n")
			a.clock = a.clock.Add(time.Minute)
			a.bind(a.appear("b", npu))
		}, map[string]int64{npu: 1}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			a := newAsks(t)
			a.appear("first", npu) // with this one the extender notices that it is ready
			a.clock = a.clock.Add(settled)
			tt.run(t, a)
			if diff := cmp.Diff(tt.want, a.reported(t)); diff != "" {
				t.Errorf("reported (-want +got):\n%s", diff)
			}
		})
	}
}

// Just after a start nobody is accused: pods that were bound then may have been
// asked about before, or the scheduler could not reach the extender yet.
func TestUnaskedAfterAStart(t *testing.T) {
	a := newAsks(t)
	missing := "waiting for the list of pods"
	a.missing.Store(&missing)
	old := a.appear("old", npu)
	a.clock = a.clock.Add(time.Hour)
	a.bind(a.appear("not-ready", npu))
	a.missing.Store(nil)
	a.bind(a.appear("just-ready", npu))
	a.bind(old)
	if diff := cmp.Diff(map[string]int64{}, a.reported(t)); diff != "" {
		t.Errorf("reported (-want +got):\n%s", diff)
	}
	a.clock = a.clock.Add(settling)
	a.bind(a.appear("later", npu))
	if diff := cmp.Diff(map[string]int64{npu: 1}, a.reported(t)); diff != "" {
		t.Errorf("reported (-want +got):\n%s", diff)
	}
}

// What is said, where, and how often.
func TestUnaskedSaysWhatToDo(t *testing.T) {
	a := newAsks(t)
	a.appear("first", npu)
	a.clock = a.clock.Add(settling)
	for _, name := range []string{"a", "b", "c"} {
		a.bind(a.appear(name, npu))
	}
	a.filter(t, a.appear("asked", gpu), "n")
	a.clock = a.clock.Add(time.Second)
	a.bind(a.appear("d", gpu, func(p *corev1.Pod) { p.Spec.SchedulerName = "another" }))

	const add = "3 pods that request npu.intel.com/accel were bound by default-scheduler and the extender was not asked, default/c the last: " +
		"add npu.intel.com/accel to managedResources in the scheduler's configuration, as GET /scheduler/config prints it; if it is there, the scheduler cannot reach the extender at its urlPrefix"
	const reach = "a pod that requests gpu.intel.com/i915 was bound by another and the extender was not asked, default/d: " +
		"it was asked about gpu.intel.com/i915 before, so the scheduler could not reach it, or this was another scheduler: see the scheduler's log"
	for path, want := range map[string][]string{
		"/": {add, reach}, "/profiles": {add, reach}, "/profiles/face-recognition": {add, reach}, "/profiles/text": nil,
	} {
		_, _, text := a.get(t, path)
		text = strings.Join(strings.Fields(text), " ")
		for _, sentence := range []string{add, reach} {
			if wanted := len(want) > 0; strings.Contains(text, sentence) != wanted {
				t.Errorf("GET %s: %q is there: %v, want %v\n%s", path, sentence, !wanted, wanted, text)
			}
		}
	}
	if n := strings.Count(a.log.String(), "the extender was not asked"); n != 2 {
		t.Errorf("%d warnings, want one for each resource:\n%s", n, a.log.String())
	}
	const metrics = `
# HELP heteroaccel_extender_bypassed_pods_total Pods that request a profile's resource and were bound without the extender being asked, by resource.
# TYPE heteroaccel_extender_bypassed_pods_total counter
heteroaccel_extender_bypassed_pods_total{resource="gpu.intel.com/i915"} 1
heteroaccel_extender_bypassed_pods_total{resource="npu.intel.com/accel"} 3
`
	if err := testutil.GatherAndCompare(a.reg, strings.NewReader(metrics), "heteroaccel_extender_bypassed_pods_total"); err != nil {
		t.Error(err)
	}
}
