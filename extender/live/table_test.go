package live

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func everyKey(string) bool { return true }

func asIs(s string) string { return s }

func keys(m map[string]string) func(string) bool {
	return func(key string) bool { _, ok := m[key]; return ok }
}

// TestTable: after any change one is told what has changed since, once, and what is gone.
func TestTable(t *testing.T) {
	tb := newTable[string]()
	for i, tt := range []struct {
		rows  map[string]string
		news  bool
		since map[uint64]Changes[string] // by the change that somebody has seen; nil for nothing
	}{
		{map[string]string{"a": "1", "b": "1"}, true, map[uint64]Changes[string]{0: {Set: []string{"1", "1"}}}},
		{map[string]string{"a": "1", "b": "1"}, false, map[uint64]Changes[string]{1: {}}},
		{map[string]string{"a": "2", "b": "1"}, true, map[uint64]Changes[string]{1: {Set: []string{"2"}}, 3: {}}},
		{map[string]string{"b": "1"}, true, map[uint64]Changes[string]{3: {Delete: []string{"a"}}, 1: {Delete: []string{"a"}}, 0: {Set: []string{"1"}}}},
		{map[string]string{"a": "3", "b": "1"}, true, map[uint64]Changes[string]{3: {Set: []string{"3"}}}},
	} {
		if news := tb.update(tt.rows, keys(tt.rows), uint64(i+1)); news != tt.news {
			t.Errorf("%d: news %v, want %v", i, news, tt.news)
		}
		for after, want := range tt.since {
			got := tb.since(after, everyKey, asIs)
			if got == nil {
				got = &Changes[string]{}
			}
			if diff := cmp.Diff(want, *got); diff != "" {
				t.Errorf("%d: since %d (-want +got):\n%s", i, after, diff)
			}
		}
	}
	// What somebody may not see has no key either when it is gone.
	tb.remove("b", 6)
	if got := tb.since(5, func(key string) bool { return key != "b" }, asIs); got != nil {
		t.Errorf("of what is not to be seen: %+v", got)
	}
}

// TestTableForgets: what is gone is remembered up to a bound, and that is known.
func TestTableForgets(t *testing.T) {
	tb := newTable[string]()
	for i := range maxGone + 10 {
		tb.remove(fmt.Sprint(i), uint64(i+1))
	}
	if len(tb.gone) != maxGone || tb.knows(9) || !tb.knows(10) {
		t.Errorf("%d are gone; since 9 known %v, since 10 %v", len(tb.gone), tb.knows(9), tb.knows(10))
	}
	if got := tb.since(10, everyKey, asIs); len(got.Delete) != maxGone || !slices.Contains(got.Delete, "10") {
		t.Errorf("%d are gone since 10", len(got.Delete))
	}
}
