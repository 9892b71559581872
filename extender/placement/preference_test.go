package placement_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"heteroaccel.io/pkg/inventory"
)

// prefers are preferred terms: of each weight the nodes of those names.
func prefers(weights map[int32][]string) *inventory.Preference {
	var terms []corev1.PreferredSchedulingTerm
	for weight, names := range weights {
		terms = append(terms, corev1.PreferredSchedulingTerm{Weight: weight, Preference: corev1.NodeSelectorTerm{
			MatchExpressions: []corev1.NodeSelectorRequirement{{Key: "name", Operator: corev1.NodeSelectorOpIn, Values: names}},
		}})
	}
	return inventory.PreferenceOf(terms)
}

func TestScoreAll(t *testing.T) {
	const fresh, stale = 2 * time.Second, time.Minute
	five := []*nodeBuilder{
		with("1").scrape(fresh, 8, device("a")).called("busy"),                                             // alone 4
		with("4").scrape(fresh, 0, device("a"), device("b"), device("c"), device("d")).called("idle"),      // alone 9
		with("4").scrape(stale, 0, device("a"), device("b"), device("c"), device("d")).called("stale"),     // alone 3
		with("1").scrape(fresh, 0, device("a", unknown)).called("uncertain"),                               // alone 1
		with("4").scrape(fresh, 4, device("a"), device("b"), device("c"), device("d")).called("half-busy"), // alone 8
	}
	for name, tt := range map[string]struct {
		weights map[int32][]string
		want    []int64 // of busy, idle, stale, uncertain, half-busy, and an unknown node
	}{
		"none":          {nil, []int64{4, 9, 3, 1, 8, 0}},
		"none of these": {map[int32][]string{100: {"x"}}, []int64{4, 9, 3, 1, 8, 0}},
		// 7 + round(1 + 2·0), 7 + round(2·5/6), 7 + round(2·4/6)
		"the busy one": {map[int32][]string{1: {"busy"}}, []int64{8, 9, 1, 1, 8, 0}},
		"the idle one": {map[int32][]string{100: {"idle"}}, []int64{7, 10, 1, 1, 8, 0}},
		// 7 + round(½ + 2·0) for half the weight
		"one half as much as another": {map[int32][]string{50: {"busy"}, 100: {"half-busy"}}, []int64{8, 9, 1, 1, 9, 0}},
		"the stale one":               {map[int32][]string{100: {"stale"}}, []int64{7, 9, 1, 1, 8, 0}},
		"the uncertain one":           {map[int32][]string{100: {"uncertain"}}, []int64{7, 9, 1, 1, 8, 0}},
	} {
		t.Run(name, func(t *testing.T) {
			q := query(gpus("1"))
			q.Preference = prefers(tt.weights)
			var nodes []*inventory.Node
			for _, b := range five {
				nodes = append(nodes, b.node())
			}
			nodes = append(nodes, nil)
			got := make([]int64, len(nodes))
			q.ScoreAll(nodes, got)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("scores (-want +got):\n%s", diff)
			}
			q.Skip = true
			q.ScoreAll(nodes, got)
			if diff := cmp.Diff(make([]int64, len(nodes)), got); diff != "" {
				t.Errorf("of a pod to skip (-want +got):\n%s", diff)
			}
		})
	}
}

// TestNoneOverAnother: a pod that prefers all nodes alike has the scores of one
// that prefers none.
func TestNoneOverAnother(t *testing.T) {
	q := query(gpus("1"))
	q.Preference = prefers(map[int32][]string{70: {"a", "b"}})
	nodes := []*inventory.Node{
		with("1").scrape(0, 8, device("a")).called("a").node(),
		with("4").scrape(0, 0, device("a"), device("b"), device("c"), device("d")).called("b").node(),
	}
	got := make([]int64, 2)
	q.ScoreAll(nodes, got)
	if diff := cmp.Diff([]int64{4, 9}, got); diff != "" {
		t.Errorf("scores (-want +got):\n%s", diff)
	}
}

// TestPreferredWins adds up what kube-scheduler does: 50 for each point of ours,
// and 200 for the preferred node. Of two fresh nodes the preferred one wins whatever
// their loads, and a fresh one wins against a stale one that is preferred, each by
// no less than the 100 that NodeResourcesFit and NodeResourcesBalancedAllocation
// together make.
func TestPreferredWins(t *testing.T) {
	const fresh, stale = time.Second, time.Minute
	needs := map[string]corev1.ResourceList{"device": gpus("1"), "cores": cpus("1")}
	for what, requests := range needs {
		for _, busyA := range []float64{0, 4, 8} {
			for _, busyB := range []float64{0, 4, 8} {
				for _, gpusA := range []string{"1", "8"} {
					for _, gpusB := range []string{"1", "8"} {
						near := with(gpusA).scrape(fresh, busyA, device("a", shared(8))).called("near")
						far := with(gpusB).scrape(fresh, busyB, device("a", shared(8))).called("far")
						q := query(requests)
						q.Preference = prefers(map[int32][]string{30: {"near"}})
						points := func(near, far *nodeBuilder) int64 {
							scores := make([]int64, 2)
							q.ScoreAll([]*inventory.Node{near.node(), far.node()}, scores)
							return 50*(scores[0]-scores[1]) + 200
						}
						if ahead := points(near, far); ahead < 150 {
							t.Errorf("%s: %s devices, %v cores busy and preferred: %d points ahead of %s and %v", what, gpusA, busyA, ahead, gpusB, busyB)
						}
						if behind := -points(with(gpusA).scrape(stale, busyA).called("near"), far); behind < 100 {
							t.Errorf("%s: %s devices, stale and preferred: %d points behind %s devices, %v cores busy", what, gpusA, behind, gpusB, busyB)
						}
					}
				}
			}
		}
	}
}
