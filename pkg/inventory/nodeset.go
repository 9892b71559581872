package inventory

import (
	"iter"
	"math/bits"
)

// nodeSet is a set of nodes, by their place in the inventory: a bit for each.
type nodeSet []uint64

func (s nodeSet) has(place int) bool {
	word := place / 64
	return word < len(s) && s[word]&(1<<(place%64)) != 0
}

// set puts a place in or takes it out.
func (s *nodeSet) set(place int, in bool) {
	word, bit := place/64, uint64(1)<<(place%64)
	for in && word >= len(*s) {
		*s = append(*s, 0)
	}
	switch {
	case in:
		(*s)[word] |= bit
	case word < len(*s):
		(*s)[word] &^= bit
	}
}

// everyNth yields each step-th place of those in both, in order, from the step-th
// on. What lies between costs next to nothing.
func (s nodeSet) everyNth(step int, o nodeSet) iter.Seq[int] {
	return func(yield func(int) bool) {
		skip := step - 1
		for word := range min(len(s), len(o)) {
			both := s[word] & o[word]
			for n := bits.OnesCount64(both); n > skip; n = bits.OnesCount64(both) {
				for ; skip > 0; skip-- {
					both &= both - 1
				}
				if !yield(word*64 + bits.TrailingZeros64(both)) {
					return
				}
				both &= both - 1
				skip = step - 1
			}
			skip -= bits.OnesCount64(both)
		}
	}
}

// intersect yields the places in both, in order. Those already yielded may be taken
// out meanwhile.
func (s nodeSet) intersect(o nodeSet) iter.Seq[int] {
	return func(yield func(int) bool) {
		for word := range min(len(s), len(o)) {
			for both := s[word] & o[word]; both != 0; both &= both - 1 {
				if !yield(word*64 + bits.TrailingZeros64(both)) {
					return
				}
			}
		}
	}
}
