package readmit

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"heteroaccel.io/pkg/policy"
)

func TestOrder(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	wait := func(name string, priority int32, waited, gain time.Duration) turn {
		return turn{&waiter{name: name, priority: priority, created: now.Add(-waited)}, gain}
	}
	turns := []turn{
		wait("low", 0, 10*time.Second, time.Second),
		wait("low, gains more", 0, 5*time.Second, time.Minute),
		wait("high", 9, time.Second, time.Millisecond),
		wait("low, older", 0, 20*time.Second, time.Second),
		wait("late", -5, 6*time.Minute, time.Millisecond),
		wait("later", -9, 7*time.Minute, time.Millisecond),
		wait("late and high", 9, 5*time.Minute+time.Second, policy.Never),
	}
	order(turns, now, 5*time.Minute)
	var got []string
	for _, x := range turns {
		got = append(got, x.name)
	}
	want := []string{"later", "late", "late and high", "high", "low, gains more", "low, older", "low"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestNobodyStarves: a device frees each second, and two important pods come
// with each; an unimportant one has its turn once its patience is over.
func TestNobodyStarves(t *testing.T) {
	const patience = time.Minute
	start := time.Unix(1_700_000_000, 0)
	low := &waiter{name: "low", created: start}
	turns := []turn{{low, time.Second}}
	for second := range 1000 {
		now := start.Add(time.Duration(second) * time.Second)
		for i := range 2 {
			turns = append(turns, turn{&waiter{name: string(rune('a' + i)), priority: 1000, created: now}, time.Hour})
		}
		order(turns, now, patience)
		first := turns[0].waiter
		turns = slices.Delete(turns, 0, 1)
		if first == low {
			if now.Sub(start) > patience+time.Second {
				t.Errorf("its turn came after %s", now.Sub(start))
			}
			return
		}
	}
	t.Error("its turn never came")
}

func TestAhead(t *testing.T) {
	gpu, npu := &class{kind: "GPU"}, &class{kind: "NPU"}
	at := time.Unix(1_700_000_000, 0)
	a := &waiter{name: "a", class: gpu, created: at}
	b := &waiter{name: "b", class: gpu, created: at.Add(time.Second)}
	c := &waiter{name: "c", class: gpu, created: at.Add(2 * time.Second), priority: 1}
	d := &waiter{name: "d", class: npu, created: at.Add(3 * time.Second)}
	got := ahead([]*waiter{d, b, a, c})
	for w, want := range map[*waiter]int64{a: 1, b: 2, c: 0, d: 0} {
		if got[w] != want {
			t.Errorf("%s: %d ahead, want %d", w.name, got[w], want)
		}
	}
}
