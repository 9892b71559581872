package fleet

import (
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestNew(t *testing.T) {
	for _, mix := range Mixes() {
		for _, slots := range []int{4, 5, 12, 1000} {
			f, err := New(mix, slots, 30, 7)
			if err != nil {
				t.Fatal(err)
			}
			var share float64
			for _, typ := range f.Types {
				share += typ.Share
				if typ.Service[0] <= 0 {
					t.Errorf("%s has no variant for the %s", typ.Name, f.Kinds[0].Name)
				}
			}
			if math.Abs(share-1) > 1e-9 || f.Slots() != slots {
				t.Errorf("%s: shares %v, %d slots of %d", mix, share, f.Slots(), slots)
			}
			dealt := make([]int, len(f.Kinds))
			for _, n := range f.Nodes {
				for j, count := range n.Slots {
					dealt[j] += count
				}
			}
			for j, k := range f.Kinds {
				if dealt[j] != k.Slots || k.Slots < 1 {
					t.Errorf("%s, %d slots: %d of %d %s on nodes", mix, slots, dealt[j], k.Slots, k.Name)
				}
			}
			again, _ := New(mix, slots, 30, 7)
			if diff := cmp.Diff(f, again); diff != "" {
				t.Errorf("another one from the same seed:\n%s", diff)
			}
		}
	}
	for name, err := range map[string]error{
		"no such mix": second(New("none", 8, 1, 0)), "too small": second(New("random", 3, 1, 0)), "no types": second(New("random", 8, 0, 0)),
	} {
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func second(_ *Fleet, err error) error { return err }
