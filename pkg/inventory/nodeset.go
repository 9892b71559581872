package inventory

import (
	"iter"
	"math/bits"
)

// nodeSet is a set of nodes, one bit for each, by its index in the inventory.
type nodeSet []uint64

func (s nodeSet) has(index int) bool {
	word := index / 64
	return word < len(s) && s[word]&(1<<(index%64)) != 0
}

// set adds an index or removes it.
func (s *nodeSet) set(index int, in bool) {
	word, bit := index/64, uint64(1)<<(index%64)
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

// everyNth yields each n-th index of the intersection with o, in order, from
// the n-th on. Those in between cost next to nothing.
func (s nodeSet) everyNth(n int, o nodeSet) iter.Seq[int] {
	return func(yield func(int) bool) {
		skip := n - 1
		for word := range min(len(s), len(o)) {
			both := s[word] & o[word]
			for left := bits.OnesCount64(both); left > skip; left = bits.OnesCount64(both) {
				for ; skip > 0; skip-- {
					both &= both - 1
				}
				if !yield(word*64 + bits.TrailingZeros64(both)) {
					return
				}
				both &= both - 1
				skip = n - 1
			}
			skip -= bits.OnesCount64(both)
		}
	}
}

// intersect yields the indexes in both sets, in order. Those already yielded may
// be removed meanwhile.
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
