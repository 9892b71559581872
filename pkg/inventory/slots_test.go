package inventory

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/resources"
)

// TestHasClass: which classes have devices follows the slots of all nodes, known or not,
// and nothing is kept of a class that has none any more.
func TestHasClass(t *testing.T) {
	inv := New(Options{})
	r := rand.New(rand.NewPCG(1, 2))
	have := map[string]map[string]int64{}
	classes := []string{"gpu", "npu", "cpu"}
	for range 2_000 {
		node := fmt.Sprint("n", r.IntN(5))
		have[node] = map[string]int64{}
		var s Slots
		for _, class := range classes {
			if r.IntN(4) == 0 {
				have[node][class] = r.Int64N(3)
				s.Capacity = s.Capacity.Plus(resources.Amounts{}.With(accel.ClassResource(class), have[node][class]), 1)
			}
		}
		inv.SetSlots(node, s)
		for _, class := range classes {
			want := false
			for _, of := range have {
				want = want || of[class] > 0
			}
			if got := inv.HasClass(class); got != want {
				t.Fatalf("%s: %t, want %t: %v", class, got, want, have)
			}
		}
	}
	for node := range have {
		inv.SetSlots(node, Slots{})
	}
	if n := len(inv.offering); n > 0 {
		t.Errorf("%d classes are kept", n)
	}
}
