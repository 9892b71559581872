package placement_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"heteroaccel.io/extender/placement"
	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/inventory"
	"heteroaccel.io/pkg/resources"
)

func TestScore(t *testing.T) {
	const fresh, stale = 2 * time.Second, time.Minute
	tests := map[string]struct {
		node  *nodeBuilder
		needs corev1.ResourceList
		bound string
		want  int64
	}{
		"unknown": {nil, gpus("1"), "", 0},
		// 4 + round(4·0 + 2·1)
		"the only device, cores idle": {with("1").scrape(fresh, 0, device("a")), gpus("1"), "", 6},
		// 4 + round(4·0 + 2·¼) = 4 + round(0.5)
		"the only device, cores ¾ busy": {with("1").scrape(fresh, 6, device("a")), gpus("1"), "", 5},
		// 4 + round(4·0 + 2·0)
		"the only device, cores busy": {with("1").scrape(fresh, 8, device("a")), gpus("1"), "", 4},
		// 4 + round(4·¾ + 2·1)
		"one of four": {with("4").scrape(fresh, 0, device("a"), device("b"), device("c"), device("d")), gpus("1"), "", 9},
		// 4 + round(4·½ + 2·1): one is held
		"one of four, one held": {with("4").scrape(fresh, 0, device("a"), device("b"), device("c"), device("d")).pod("old", "o", gpus("1")), gpus("1"), "", 8},
		// 4 + round(4·¾ + 2·1): it is this pod that holds it
		"one of four, held by itself": {with("4").scrape(fresh, 0, device("a"), device("b"), device("c"), device("d")).pod("new", "new", gpus("1")), gpus("1"), "n", 9},
		// 4 + round(4·½ + 2·1): one is out of use
		"one of four, one unhealthy": {with("4").scrape(fresh, 0, device("a", unhealthy), device("b"), device("c"), device("d")), gpus("1"), "", 8},
		// 1 + round(2·0): nothing of it is known to be idle, as on a stale node
		"the only device, unknown": {with("1").scrape(fresh, 0, device("a", unknown)), gpus("1"), "", 1},
		// 1 + round(2·¾)
		"all of four unknown": {with("4").scrape(fresh, 0, device("a", unknown), device("b", unknown), device("c", unknown), device("d", unknown)), gpus("1"), "", 3},
		// 4 + round(4·½ + 2·1): the unknown one is not counted as idle
		"one of four, one unknown": {with("4").scrape(fresh, 0, device("a", unknown), device("b"), device("c"), device("d")), gpus("1"), "", 8},
		// 4 + round(4·½ + 2·1): its holder counts already
		"one of four, one unknown and held": {with("4").scrape(fresh, 0, device("a", unknown, heldBy("o")), device("b"), device("c"), device("d")).pod("o", "o", gpus("1")), gpus("1"), "", 8},
		// 1 + round(2·0): one sound device is not the two it needs
		"two needed, one of two unknown": {with("2").scrape(fresh, 0, device("a", unknown), device("b")), gpus("2"), "", 1},
		// 4 + round(4·0 + 2·1), not below
		"more needed than there is": {with("1").scrape(fresh, 0, device("a")), gpus("3"), "", 6},
		// 1 + round(2·¾) = 1 + round(1.5)
		"stale, one of four": {with("4").scrape(stale, 0), gpus("1"), "", 3},
		// 1 + round(2·0)
		"no telemetry, the only device": {with("1"), gpus("1"), "", 1},

		// 4 + round(3·¾ + 2·1) + 1 = 4 + round(4.25) + 1
		"CPU, 2 of 8 cores, no devices": {with("0").scrape(fresh, 0), cpus("2"), "", 9},
		// 4 + round(3·¾ + 2·1) + 0
		"CPU, beside an idle device": {with("1").scrape(fresh, 0, device("a")), cpus("2"), "", 8},
		// 4 + round(4.25) + 1
		"CPU, beside a held device": {with("1").scrape(fresh, 0, device("a")).pod("old", "o", gpus("1")), cpus("2"), "", 9},
		// 4 + round(3·¼ + 2·½) + 1 = 4 + round(1.75) + 1
		"CPU, half busy, 4 of 8 cores requested": {with("0").scrape(fresh, 4).pod("old", "o", cpus("4")), cpus("2"), "", 7},
		// 4 + round(3·¾ + 2·1) + 1: the 2 cores requested are its own
		"CPU, counted already": {with("0").scrape(fresh, 0).pod("new", "new", cpus("2")), cpus("2"), "n", 9},
		// 1 + round(¾) + 1
		"CPU, stale, no devices": {with("0").scrape(stale, 0), cpus("2"), "", 3},
		// 1 + round(¾)
		"CPU, no telemetry, idle device": {with("1"), cpus("2"), "", 2},
		// 4 + round(3·1 + 2·1) + 1
		"the most there is": {with("0").scrape(fresh, 0), nil, "", 10},
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
	q.FreshSince = now.Add(-maxAge)
	worst := with("8").scrape(age, 8, device("a", shared(8))).pod("old", "o", gpus("7")).node()
	best := with("8").scrape(age, 0, device("a", shared(8), unknown)).node()
	if known, unknown := q.Score(worst), q.Score(best); unknown >= known {
		t.Errorf("known and busy %d, unknown and idle %d", known, unknown)
	}
}

// Whatever the rest, a fresh node scores above a stale one and a stale one
// above an unknown one.
func TestBandsDoNotOverlap(t *testing.T) {
	q := placement.Query{FreshSince: now.Add(-maxAge)}
	worstFresh, bestStale, worstStale := int64(11), int64(-1), int64(11)
	for _, n := range []string{"0", "1", "8"} {
		for _, needs := range []corev1.ResourceList{nil, cpus("1"), cpus("99"), gpus("1"), gpus("9")} {
			for _, busy := range []float64{0, 4, 8, 99} {
				q.Needs = placement.NeedsOf(pod("new", "new", "", needs))
				worstFresh = min(worstFresh, q.Score(with(n).scrape(0, busy).node()))
				stale := q.Score(with(n).scrape(time.Hour, busy).node())
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
	n := with("4").scrape(0, 1, device("a"), device("b", unhealthy)).node()
	q := query(gpus("1"))
	if a := testing.AllocsPerRun(100, func() { q.Filter(n); q.Score(n) }); a != 0 {
		t.Errorf("%v allocations a node, want 0", a)
	}
}
