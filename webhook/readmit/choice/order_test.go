package choice

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"heteroaccel.io/pkg/policy"
	"heteroaccel.io/webhook/readmit/pending"
)

func TestOrder(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	wait := func(name string, priority int32, waited, gain time.Duration) Contender {
		return Contender{&pending.Pod{Name: name, Priority: priority, Created: now.Add(-waited)}, gain, time.Time{}}
	}
	contenders := []Contender{
		wait("low", 0, 10*time.Second, time.Second),
		wait("low, gains more", 0, 5*time.Second, time.Minute),
		wait("high", 9, time.Second, time.Millisecond),
		wait("low, older", 0, 20*time.Second, time.Second),
		wait("late", -5, 6*time.Minute, time.Millisecond),
		wait("later", -9, 7*time.Minute, time.Millisecond),
		wait("late and high", 9, 5*time.Minute+time.Second, policy.Never),
	}
	Order(contenders, now, 5*time.Minute)
	var got []string
	for _, x := range contenders {
		got = append(got, x.Name)
	}
	want := []string{"later", "late", "late and high", "high", "low, gains more", "low, older", "low"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestNobodyStarves: a device frees each second, and two important pods come
// with each; an unimportant one is first once its patience is over.
func TestNobodyStarves(t *testing.T) {
	const patience = time.Minute
	start := time.Unix(1_700_000_000, 0)
	low := &pending.Pod{Name: "low", Created: start}
	contenders := []Contender{{Pod: low, Gain: time.Second}}
	for second := range 1000 {
		now := start.Add(time.Duration(second) * time.Second)
		for i := range 2 {
			contenders = append(contenders, Contender{&pending.Pod{Name: string(rune('a' + i)), Priority: 1000, Created: now}, time.Hour, time.Time{}})
		}
		Order(contenders, now, patience)
		first := contenders[0].Pod
		contenders = slices.Delete(contenders, 0, 1)
		if first == low {
			if now.Sub(start) > patience+time.Second {
				t.Errorf("it was first after %s", now.Sub(start))
			}
			return
		}
	}
	t.Error("it was never first")
}
