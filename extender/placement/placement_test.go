package placement_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"heteroaccel.io/extender/placement"
	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/inventory"
	"heteroaccel.io/pkg/resources"
	"heteroaccel.io/pkg/telemetry"
)

const (
	gpu    = "gpu.intel.com/i915"
	maxAge = 15 * time.Second
)

var now = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// bed is an inventory of one node, "n", in the making.
type bed struct {
	capacity, allocatable corev1.ResourceList
	devices               []accel.Device
	cores, busy           float64
	age                   time.Duration
	sampled               bool
	pods                  []*corev1.Pod
}

// with is a node of 8 cores and so many devices.
func with(gpus string) *bed {
	list := corev1.ResourceList{"cpu": resource.MustParse("8"), "memory": resource.MustParse("16Gi"), "pods": resource.MustParse("110")}
	if gpus != "0" {
		list[gpu] = resource.MustParse(gpus)
	}
	return &bed{capacity: list, allocatable: list}
}

func (b *bed) sample(age time.Duration, busy float64, devices ...accel.Device) *bed {
	b.sampled, b.age, b.cores, b.busy, b.devices = true, age, 8, busy, devices
	return b
}

func (b *bed) pod(name, uid string, requests corev1.ResourceList) *bed {
	b.pods = append(b.pods, pod(name, uid, "n", requests))
	return b
}

func (b *bed) node() *inventory.Node {
	inv := inventory.New(inventory.Options{Now: func() time.Time { return now }})
	inv.SetNode(inventory.NodeOf(&corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: "n"},
		Status:     corev1.NodeStatus{Capacity: b.capacity, Allocatable: b.allocatable},
	}))
	for _, p := range b.pods {
		inv.SetPod(inventory.PodOf(p, nil))
	}
	if b.sampled {
		inv.SetTelemetry(telemetry.Scrape{Node: "n", Time: now.Add(-b.age), Devices: b.devices, CPUCores: b.cores, CPUBusy: b.busy})
	}
	return inv.Lookup([]string{"n"})[0]
}

func pod(name, uid, node string, requests corev1.ResourceList) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name, UID: types.UID(uid)},
		Spec: corev1.PodSpec{NodeName: node, Containers: []corev1.Container{{
			Resources: corev1.ResourceRequirements{Requests: requests},
		}}},
	}
}

func gpus(n string) corev1.ResourceList { return corev1.ResourceList{gpu: resource.MustParse(n)} }

func cpus(n string) corev1.ResourceList { return corev1.ResourceList{"cpu": resource.MustParse(n)} }

// device is a healthy, idle GPU of one slot, changed by edits.
func device(id string, edits ...func(*accel.Device)) accel.Device {
	d := accel.Device{Kind: "GPU", ID: id, Resource: gpu, Health: accel.Healthy, Slots: 1}
	for _, edit := range edits {
		edit(&d)
	}
	return d
}

func sick(d *accel.Device)     { d.Health = accel.Unhealthy }
func doubtful(d *accel.Device) { d.Health = accel.HealthUnknown }

func outside(command string) func(*accel.Device) {
	return func(d *accel.Device) { d.ExternalUse = command }
}

func shared(slots int) func(*accel.Device) { return func(d *accel.Device) { d.Slots = slots } }

func heldBy(pods ...string) func(*accel.Device) {
	return func(d *accel.Device) {
		d.Allocated = len(pods)
		for _, p := range pods {
			d.Holders = append(d.Holders, accel.Holder{Namespace: "default", Pod: p, Container: "c", Slots: 1})
		}
	}
}

func query(requests corev1.ResourceList) placement.Query {
	return placement.Query{
		Needs: placement.NeedsOf(pod("new", "new", "", requests)), Oldest: now.Add(-maxAge),
	}
}

func TestFilter(t *testing.T) {
	const fresh, stale = 2 * time.Second, 16 * time.Second
	tests := map[string]struct {
		node  *bed // nil: unknown
		needs corev1.ResourceList
		bound string
		want  placement.Verdict
	}{
		"unknown node passes":         {nil, gpus("1"), "", placement.Verdict{}},
		"idle device":                 {with("1").sample(fresh, 0, device("a")), gpus("1"), "", placement.Verdict{}},
		"no sample passes":            {with("1"), gpus("1"), "", placement.Verdict{}},
		"sample as old as is allowed": {with("1").sample(maxAge, 0, device("a", sick)), gpus("1"), "", placement.Verdict{placement.Unhealthy, "GPU a is unhealthy"}},
		"stale sample passes":         {with("1").sample(stale, 0, device("a", sick)), gpus("1"), "", placement.Verdict{}},
		"no such device":              {with("0").sample(fresh, 0), gpus("1"), "", placement.Verdict{placement.Absent, "this node offers no " + gpu}},
		"no such device, stale":       {with("0"), gpus("1"), "", placement.Verdict{placement.Absent, "this node offers no " + gpu}},
		"unknown health":              {with("1").sample(fresh, 0, device("a", doubtful)), gpus("1"), "", placement.Verdict{}},
		"all unknown, two needed":     {with("2").sample(fresh, 0, device("a", doubtful), device("b", doubtful)), gpus("2"), "", placement.Verdict{}},
		"one unknown, one unhealthy": {with("2").sample(fresh, 0, device("a", doubtful), device("b", sick)), gpus("2"), "",
			placement.Verdict{placement.Unhealthy, "GPU b is unhealthy, 1 of the 2 needed are left"}},
		"unknown, and used from outside": {with("1").sample(fresh, 0, device("a", doubtful, outside("x"))), gpus("1"), "",
			placement.Verdict{placement.ExternalUse, "GPU a is used outside Kubernetes by x"}},
		"unhealthy": {with("1").sample(fresh, 0, device("0000:00:02.0", sick)), gpus("1"), "", placement.Verdict{placement.Unhealthy, "GPU 0000:00:02.0 is unhealthy"}},
		"outside":   {with("1").sample(fresh, 0, device("0000:00:02.0", outside("ffmpeg"))), gpus("1"), "", placement.Verdict{placement.ExternalUse, "GPU 0000:00:02.0 is used outside Kubernetes by ffmpeg"}},
		"held by a pod in our view alone is no harm": {with("1").sample(fresh, 0, device("a", heldBy("old"))).pod("old", "old", gpus("1")), gpus("1"), "", placement.Verdict{}},
		"held in our view before any sample saw it":  {with("1").sample(fresh, 0, device("a")).pod("old", "old", gpus("1")), gpus("1"), "", placement.Verdict{}},
		"CPU kind passes anything":                   {with("1").sample(fresh, 8, device("a", sick)), cpus("64"), "", placement.Verdict{}},

		// 2 of capacity − 1 bad − 0 held = 1
		"one of two unhealthy leaves one": {with("2").sample(fresh, 0, device("a", sick), device("b")), gpus("1"), "", placement.Verdict{}},
		// 2 − 1 bad − 0 held = 1 < 2
		"one of two unhealthy, two needed": {with("2").sample(fresh, 0, device("a", sick), device("b")), gpus("2"), "", placement.Verdict{placement.Unhealthy, "GPU a is unhealthy, 1 of the 2 needed are left"}},
		// 2 − 1 bad − 1 held on the good one = 0 < 1
		"one of two outside, the other held": {with("2").sample(fresh, 0, device("a", outside("mpv")), device("b", heldBy("old"))).pod("old", "old", gpus("1")), gpus("1"), "", placement.Verdict{placement.ExternalUse, "GPU a is used outside Kubernetes by mpv, pods hold the rest"}},
		// 2 − 1 bad − (1 held − 1 of it on the bad one) = 1
		"the unhealthy one is held, the other idle": {with("2").sample(fresh, 0, device("a", sick, heldBy("old")), device("b")).pod("old", "old", gpus("1")), gpus("1"), "", placement.Verdict{}},
		// 1 − 1 bad − 0 held: its pod ended after the sample, it is no healthier for that
		"the holder of the unhealthy one is gone": {with("1").sample(fresh, 0, device("a", sick, heldBy("gone"))), gpus("1"), "", placement.Verdict{placement.Unhealthy, "GPU a is unhealthy"}},
		// 2 − 1 bad − (1 held − 0 on the bad one) = 0 < 1
		"that, and the good one is held": {with("2").sample(fresh, 0, device("a", sick, heldBy("gone")), device("b", heldBy("old"))).pod("old", "old", gpus("1")), gpus("1"), "", placement.Verdict{placement.Unhealthy, "GPU a is unhealthy, pods hold the rest"}},
		// 2 − 1 bad − (1 held − 1 its own) = 1
		"counted on the node already, not against itself": {with("2").sample(fresh, 0, device("a", sick), device("b")).pod("new", "new", gpus("1")), gpus("1"), "n", placement.Verdict{}},
		// 4 slots − 2 outside − 1 held = 1
		"shared devices count in slots":        {with("4").sample(fresh, 0, device("a", shared(2), outside("x")), device("b", shared(2), heldBy("old"))).pod("old", "old", gpus("1")), gpus("1"), "", placement.Verdict{}},
		"allocation unknown, idle by our view": {with("1").sample(fresh, 0, device("a", func(d *accel.Device) { d.Allocated = -1 })), gpus("1"), "", placement.Verdict{}},
		"many bad ones are counted": {with("5").sample(fresh, 0, device("a", sick), device("b", sick), device("c", sick), device("d", sick), device("e", outside("x"))), gpus("1"), "",
			placement.Verdict{placement.Unhealthy, "GPU a is unhealthy, GPU b is unhealthy, GPU c is unhealthy, 2 more are out of use"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			q := query(tt.needs)
			q.Bound = tt.bound
			var n *inventory.Node
			if tt.node != nil {
				n = tt.node.node()
			}
			if diff := cmp.Diff(tt.want, q.Filter(n)); diff != "" {
				t.Errorf("verdict (-want +got):\n%s", diff)
			}
		})
	}
}

func TestScore(t *testing.T) {
	const fresh, stale = 2 * time.Second, time.Minute
	tests := map[string]struct {
		node  *bed
		needs corev1.ResourceList
		bound string
		want  int64
	}{
		"unknown": {nil, gpus("1"), "", 0},
		// 4 + round(4·0 + 2·1)
		"the only device, cores idle": {with("1").sample(fresh, 0, device("a")), gpus("1"), "", 6},
		// 4 + round(4·0 + 2·¼) = 4 + round(0.5)
		"the only device, cores ¾ busy": {with("1").sample(fresh, 6, device("a")), gpus("1"), "", 5},
		// 4 + round(4·0 + 2·0)
		"the only device, cores busy": {with("1").sample(fresh, 8, device("a")), gpus("1"), "", 4},
		// 4 + round(4·¾ + 2·1)
		"one of four": {with("4").sample(fresh, 0, device("a"), device("b"), device("c"), device("d")), gpus("1"), "", 9},
		// 4 + round(4·½ + 2·1): one is held
		"one of four, one held": {with("4").sample(fresh, 0, device("a"), device("b"), device("c"), device("d")).pod("old", "o", gpus("1")), gpus("1"), "", 8},
		// 4 + round(4·¾ + 2·1): it is this pod that holds it
		"one of four, held by itself": {with("4").sample(fresh, 0, device("a"), device("b"), device("c"), device("d")).pod("new", "new", gpus("1")), gpus("1"), "n", 9},
		// 4 + round(4·½ + 2·1): one is out of use
		"one of four, one unhealthy": {with("4").sample(fresh, 0, device("a", sick), device("b"), device("c"), device("d")), gpus("1"), "", 8},
		// 1 + round(2·0): nothing of it is known to be idle, as on a stale node
		"the only device, unknown": {with("1").sample(fresh, 0, device("a", doubtful)), gpus("1"), "", 1},
		// 1 + round(2·¾)
		"all of four unknown": {with("4").sample(fresh, 0, device("a", doubtful), device("b", doubtful), device("c", doubtful), device("d", doubtful)), gpus("1"), "", 3},
		// 4 + round(4·½ + 2·1): the unknown one is not counted as idle
		"one of four, one unknown": {with("4").sample(fresh, 0, device("a", doubtful), device("b"), device("c"), device("d")), gpus("1"), "", 8},
		// 4 + round(4·½ + 2·1): its holder counts already
		"one of four, one unknown and held": {with("4").sample(fresh, 0, device("a", doubtful, heldBy("o")), device("b"), device("c"), device("d")).pod("o", "o", gpus("1")), gpus("1"), "", 8},
		// 1 + round(2·0): one sound device is not the two it needs
		"two needed, one of two unknown": {with("2").sample(fresh, 0, device("a", doubtful), device("b")), gpus("2"), "", 1},
		// 4 + round(4·0 + 2·1), not below
		"more needed than there is": {with("1").sample(fresh, 0, device("a")), gpus("3"), "", 6},
		// 1 + round(2·¾) = 1 + round(1.5)
		"stale, one of four": {with("4").sample(stale, 0), gpus("1"), "", 3},
		// 1 + round(2·0)
		"no sample, the only device": {with("1"), gpus("1"), "", 1},

		// 4 + round(3·¾ + 2·1) + 1 = 4 + round(4.25) + 1
		"CPU, 2 of 8 cores, no devices": {with("0").sample(fresh, 0), cpus("2"), "", 9},
		// 4 + round(3·¾ + 2·1) + 0
		"CPU, beside an idle device": {with("1").sample(fresh, 0, device("a")), cpus("2"), "", 8},
		// 4 + round(4.25) + 1
		"CPU, beside a held device": {with("1").sample(fresh, 0, device("a")).pod("old", "o", gpus("1")), cpus("2"), "", 9},
		// 4 + round(3·¼ + 2·½) + 1 = 4 + round(1.75) + 1
		"CPU, half busy, 4 of 8 cores requested": {with("0").sample(fresh, 4).pod("old", "o", cpus("4")), cpus("2"), "", 7},
		// 4 + round(3·¾ + 2·1) + 1: the 2 cores requested are its own
		"CPU, counted already": {with("0").sample(fresh, 0).pod("new", "new", cpus("2")), cpus("2"), "n", 9},
		// 1 + round(¾) + 1
		"CPU, stale, no devices": {with("0").sample(stale, 0), cpus("2"), "", 3},
		// 1 + round(¾)
		"CPU, no sample, idle device": {with("1"), cpus("2"), "", 2},
		// 4 + round(3·1 + 2·1) + 1
		"the most there is": {with("0").sample(fresh, 0), nil, "", 10},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			q := query(tt.needs)
			q.Bound = tt.bound
			var n *inventory.Node
			if tt.node != nil {
				n = tt.node.node()
			}
			if got := q.Score(n); got != tt.want {
				t.Errorf("score %d, want %d", got, tt.want)
			}
		})
	}
}

// An idle device of which it is not known whether it works ranks below one that
// works, however little else speaks for the latter.
func TestUnknownRanksBelowKnown(t *testing.T) {
	q := query(gpus("1"))
	const age = time.Second
	q.Oldest = now.Add(-maxAge)
	worst := with("8").sample(age, 8, device("a", shared(8))).pod("old", "o", gpus("7")).node()
	best := with("8").sample(age, 0, device("a", shared(8), doubtful)).node()
	if known, unknown := q.Score(worst), q.Score(best); unknown >= known {
		t.Errorf("known and busy %d, unknown and idle %d", known, unknown)
	}
}

// Whatever the rest, a fresh node scores above a stale one and a stale one
// above an unknown one.
func TestBandsDoNotOverlap(t *testing.T) {
	q := placement.Query{Oldest: now.Add(-maxAge)}
	worstFresh, bestStale, worstStale := int64(11), int64(-1), int64(11)
	for _, n := range []string{"0", "1", "8"} {
		for _, needs := range []corev1.ResourceList{nil, cpus("1"), cpus("99"), gpus("1"), gpus("9")} {
			for _, busy := range []float64{0, 4, 8, 99} {
				q.Needs = placement.NeedsOf(pod("new", "new", "", needs))
				worstFresh = min(worstFresh, q.Score(with(n).sample(0, busy).node()))
				stale := q.Score(with(n).sample(time.Hour, busy).node())
				bestStale, worstStale = max(bestStale, stale), min(worstStale, stale)
			}
		}
	}
	if unknown := q.Score(nil); worstFresh <= bestStale || worstStale <= unknown {
		t.Errorf("worst fresh %d, best stale %d, worst stale %d, unknown %d", worstFresh, bestStale, worstStale, unknown)
	}
}

func TestNeedsOf(t *testing.T) {
	always := corev1.ContainerRestartPolicyAlways
	p := pod("a", "a", "", corev1.ResourceList{gpu: resource.MustParse("1"), "cpu": resource.MustParse("500m")})
	p.Annotations = map[string]string{accel.SelectedAnnotation: "NPU"}
	p.Spec.InitContainers = []corev1.Container{
		{Resources: corev1.ResourceRequirements{Requests: gpus("2")}},
		{RestartPolicy: &always, Resources: corev1.ResourceRequirements{Requests: cpus("1")}},
	}
	p.Spec.Overhead = cpus("250m")
	// cpu: 500m + 1 of the sidecar + 250m; gpu: the larger of 1 and 2
	want := resources.Amounts{CPU: 1750, Devices: []resources.Devices{{Resource: gpu, Count: 2}}}
	if diff := cmp.Diff(want, placement.NeedsOf(p)); diff != "" {
		t.Errorf("needs (-want +got):\n%s", diff)
	}
}

// Judging a node that fits costs no allocation: there may be thousands.
func TestNoAllocations(t *testing.T) {
	n := with("4").sample(0, 1, device("a"), device("b", sick)).node()
	q := query(gpus("1"))
	if a := testing.AllocsPerRun(100, func() { q.Filter(n); q.Score(n) }); a != 0 {
		t.Errorf("%v allocations a node, want 0", a)
	}
}
