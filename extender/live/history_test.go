package live

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/types"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/inventory"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// TestPoints: an hour is kept, everybody gets what they do not have, and counts begin
// anew with each point.
func TestPoints(t *testing.T) {
	h := newHistory()
	h.decided(2, 1)
	h.add(noon, nil, []time.Duration{3 * time.Second, time.Second, 2 * time.Second, time.Minute})
	h.add(noon.Add(spacing), nil, nil)
	want := []Point{{Time: noon, Started: 4, WaitedP50: 2, WaitedP99: 60, Recreated: 2, Denied: 1}, {Time: noon.Add(spacing)}}
	if diff := cmp.Diff(want, h.since(0)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for taken, n := range map[uint64]int{1: 1, 2: 0, 7: 0} {
		if got := h.since(taken); len(got) != n {
			t.Errorf("after %d points there are %d, want %d", taken, len(got), n)
		}
	}
	for i := range 2 * points {
		h.add(noon.Add(time.Duration(i)*spacing), nil, nil)
	}
	if got := h.since(3); len(got) != points || len(h.points) != points {
		t.Errorf("%d points are kept, %d since the third", len(h.points), len(got))
	}
}

// TestTenures: who had a device, in the last hour.
func TestTenures(t *testing.T) {
	h, key := newHistory(), deviceKey{"node", "gpu"}
	a, b := Holder{"default", "a"}, Holder{"lab", "b"}
	at := func(minute int) time.Time { return noon.Add(time.Duration(minute) * time.Minute) }
	to := func(minute int) *time.Time { return new(at(minute)) }
	held := func(minute int, holders ...Holder) {
		h.held(map[string]Node{"node": {Devices: []Device{{ID: "gpu", Holders: holders}}}}, at(minute))
	}
	held(0)
	held(1, a)
	held(2, a) // still
	held(3, b, a)
	held(4, b)
	held(5)
	held(6, a) // anew
	want := []Tenure{{a, at(1), to(4)}, {b, at(3), to(5)}, {a, at(6), nil}}
	if diff := cmp.Diff(want, h.tenures[key]); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	h.forget(at(64).Add(time.Second))
	if diff := cmp.Diff(want[1:], h.tenures[key]); diff != "" || h.all != 2 {
		t.Errorf("an hour later, %d in all (-want +got):\n%s", h.all, diff)
	}
	held(70)
	h.forget(at(200))
	if len(h.tenures) > 0 || h.all != 0 {
		t.Errorf("hours later there are %v, %d", h.tenures, h.all)
	}
}

// TestTenuresAreBounded: neither one device nor many fill the memory.
func TestTenuresAreBounded(t *testing.T) {
	h := newHistory()
	for i := range maxHeld + 1000 {
		h.holds(deviceKey{fmt.Sprint("n", i%2000), "gpu"}, []Holder{{"default", fmt.Sprint("p", i)}}, noon)
	}
	all := 0
	for key, tenures := range h.tenures {
		if all += len(tenures); len(tenures) > maxTenures {
			t.Fatalf("%d of %v are kept", len(tenures), key)
		}
	}
	if all > maxHeld || all != h.all {
		t.Errorf("%d are kept, %d counted", all, h.all)
	}
}

// TestWaits: a pod counts once, when it starts, from the first admission of those that it
// replaces; and those that had started before anybody looked do not.
func TestWaits(t *testing.T) {
	pod := func(uid string, waited time.Duration) *inventory.Pod {
		r := &inventory.Run{Created: noon}
		if waited >= 0 {
			r.Started = noon.Add(waited)
		}
		return &inventory.Pod{UID: types.UID(uid), Run: r, Managed: &inventory.Managed{}}
	}
	recreated := pod("recreated", 2*time.Second)
	recreated.Managed.FirstAdmitted = noon.Add(-time.Minute)
	var w waits
	w.see([]*inventory.Pod{pod("before", time.Second), pod("a", -1), {UID: "not ours"}})
	w.see([]*inventory.Pod{pod("before", time.Second), pod("a", 3*time.Second), pod("short", 0), recreated})
	w.see([]*inventory.Pod{pod("a", 3*time.Second)})
	if diff := cmp.Diff([]time.Duration{3 * time.Second, 0, 62 * time.Second}, w.take()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if again := w.take(); len(again) > 0 {
		t.Errorf("taken again: %v", again)
	}
}

// TestEstimates: one holds for five seconds, unless the place changes; who is far behind
// has none.
func TestEstimates(t *testing.T) {
	e, asked := newEstimates(), 0
	p := &inventory.Pod{UID: "a"}
	wait := func(_ *inventory.Pod, ahead int64) (time.Duration, bool) {
		asked++
		return time.Duration(ahead) * 11 * time.Second, ahead != 7
	}
	for _, tt := range []struct {
		after       time.Duration
		ahead, asks int
		want        *time.Time
	}{
		{0, 1, 1, new(noon.Add(10 * time.Second))},
		{time.Second, 1, 1, new(noon.Add(10 * time.Second))},
		{2 * time.Second, 2, 2, new(noon.Add(25 * time.Second))},
		{7 * time.Second, 2, 3, new(noon.Add(30 * time.Second))},
		{8 * time.Second, 7, 4, nil},
		{9 * time.Second, estimated, 4, nil},
	} {
		now := noon.Add(tt.after)
		e.begin(now)
		if got := e.of(p, tt.ahead, now, wait); cmp.Diff(tt.want, got) != "" || asked != tt.asks {
			t.Errorf("after %s, %d before it: %v, want %v; asked %d times, want %d", tt.after, tt.ahead, got, tt.want, asked, tt.asks)
		}
	}
}

// TestCount: each device is one of its kind, whatever its state, and a shared one is in
// part idle; nothing is idle on a node that is cordoned.
func TestCount(t *testing.T) {
	nodes, pods := newTable[Node](), newTable[Pod]()
	device := func(kind string, total, busy, idle float64) Device {
		return Device{Kind: accel.Kind(kind), Share: Share{total, busy, idle}}
	}
	nodes.set("a", Node{Name: "a", CPU: CPU{Cores: 8, Free: 3}, Devices: []Device{
		device("GPU", 1, 0, 1), device("GPU", 1, 1, 0), device("GPU", 1, 0, 0), device("GPU", 1, 0, 0), device("GPU", 1, 0, 0),
		device("NPU", 1, .25, .75), device("FPGA", 3, 1, 2), device("FPGA", 1, 0, 0),
	}}, 1)
	nodes.set("c", Node{Name: "c", Cordoned: true, CPU: CPU{Cores: 2, Free: 1}, Devices: []Device{device("GPU", 1, 0, 1), device("NPU", 1, .5, .5)}}, 1)
	nodes.set("b", Node{Name: "b", CPU: CPU{Cores: 4, Free: 4}}, 1)
	pods.set("default/w", Pod{Kind: "GPU", Waits: true}, 1)
	pods.set("default/r", Pod{Kind: "GPU", Node: "a"}, 1)
	want := []Kind{
		{Kind: "CPU", Total: 14, Idle: 7, Busy: 6},
		{Kind: "FPGA", Total: 4, Idle: 2, Busy: 1},
		{Kind: "GPU", Total: 6, Idle: 1, Busy: 1, Waiting: 1},
		{Kind: "NPU", Total: 2, Idle: .75, Busy: .75},
	}
	if diff := cmp.Diff(want, count(nodes.rows, pods.rows)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestFirst: the queue for a kind is in kube-scheduler's order.
func TestFirst(t *testing.T) {
	pod := func(name string, priority int32, created time.Duration) *inventory.Pod {
		return &inventory.Pod{Namespace: "default", Name: name, Managed: &inventory.Managed{Priority: priority}, Run: &inventory.Run{Created: noon.Add(created)}}
	}
	queue := []*inventory.Pod{pod("young", 0, 2), pod("b", 0, 1), pod("a", 0, 1), pod("urgent", 5, 3), pod("patient", -1, 0)}
	slices.SortStableFunc(queue, first)
	var names []string
	for _, p := range queue {
		names = append(names, p.Name)
	}
	if diff := cmp.Diff([]string{"urgent", "a", "b", "young", "patient"}, names); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
