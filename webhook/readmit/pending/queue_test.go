package pending

import (
	"testing"
	"time"
)

func TestPositions(t *testing.T) {
	gpu, npu := &Template{Kind: "GPU"}, &Template{Kind: "NPU"}
	at := time.Unix(1_700_000_000, 0)
	a := &Pod{Name: "a", Template: gpu, Created: at}
	b := &Pod{Name: "b", Template: gpu, Created: at.Add(time.Second)}
	c := &Pod{Name: "c", Template: gpu, Created: at.Add(2 * time.Second), Priority: 1}
	d := &Pod{Name: "d", Template: npu, Created: at.Add(3 * time.Second)}
	got := Positions([]*Pod{d, b, a, c})
	for w, want := range map[*Pod]int64{a: 1, b: 2, c: 0, d: 0} {
		if got[w] != want {
			t.Errorf("%s: %d ahead, want %d", w.Name, got[w], want)
		}
	}
}
