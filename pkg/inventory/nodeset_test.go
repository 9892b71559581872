package inventory

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// TestEveryNth compares the quick way with the plain one.
func TestEveryNth(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 3))
	for range 500 {
		var a, b nodeSet
		for range r.IntN(300) {
			a.set(r.IntN(400), true)
			b.set(r.IntN(400), true)
		}
		step := 1 + r.IntN(9)
		var want []int
		seen := 0
		for i := range a.intersect(b) {
			if seen++; seen%step == 0 {
				want = append(want, i)
			}
		}
		if got := slices.Collect(a.everyNth(step, b)); !slices.Equal(got, want) {
			t.Fatalf("every %d: got %v, want %v", step, got, want)
		}
	}
}
