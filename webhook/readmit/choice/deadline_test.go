package choice

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/inventory"
	"heteroaccel.io/pkg/policy"
	"heteroaccel.io/webhook/readmit/pending"
)

// TestDeadline: a pod that misses its deadline where it waits goes to a kind that makes
// it, however little sooner that is, and to none that would not make it after the move.
func TestDeadline(t *testing.T) {
	const second = time.Second
	// The GPU frees in 3 s, and the next pod starts 1 s later: 5 s against the NPU's 4.9.
	near := []inventory.Candidate{candidate("GPU", 1, 0, second, ending(second, 4*second)), candidate("NPU", 1, 1, 4900*time.Millisecond)}
	// The NPU takes longer.
	scarce := []inventory.Candidate{candidate("GPU", 1, 0, second, ending(second, 4*second)), candidate("NPU", 1, 1, 9*second)}
	for name, c := range map[string]struct {
		candidates []inventory.Candidate
		of, age    time.Duration
		owner      pending.OwnerKind
		want       accel.Kind // "" to go on waiting
		keeps      bool
	}{
		"no deadline, within the margin":  {near, 0, 0, pending.OwnerClaim, "", false},
		"both make it":                    {near, 6 * second, 0, pending.OwnerClaim, "", false},
		"the NPU alone makes it":          {near, 4950 * time.Millisecond, 0, pending.OwnerClaim, "NPU", true},
		"but not after it is recreated":   {near, 4950 * time.Millisecond, 0, pending.OwnerJob, "", false},
		"neither makes it":                {near, 4 * second, 0, pending.OwnerClaim, "", false},
		"so much of it has passed":        {near, 6950 * time.Millisecond, 2 * second, pending.OwnerClaim, "NPU", true},
		"all of it has passed":            {near, second, 2 * second, pending.OwnerClaim, "", false},
		"the idle one does not make it":   {scarce, 6 * second, 0, pending.OwnerClaim, "", false},
		"nor the one that is waited for ": {scarce, 4 * second, 0, pending.OwnerClaim, "", false},
	} {
		t.Run(name, func(t *testing.T) {
			candidates := slices.Clone(c.candidates)
			SetDeadline(candidates, "GPU", inventory.DeadlineOf(c.of, c.age), c.owner)
			ranked, _ := Better(policy.EarliestFinish, candidates, "GPU", second)
			got, keeps := accel.Kind(""), false
			if ranked != nil {
				got, keeps = ranked[0].Kind, Keeps(ranked, "GPU")
			}
			if got != c.want || keeps != c.keeps {
				t.Errorf("it goes to %q and keeps its deadline so: %t; want %q, %t", got, keeps, c.want, c.keeps)
			}
		})
	}
}

// TestSlack: a pod is looked at again when the kind it waits for may come to miss its
// deadline, where that says anything new.
func TestSlack(t *testing.T) {
	const second = time.Second
	gpu := candidate("GPU", 1, 0, second, ending(second, 4*second)) // done in 5 s
	npu := candidate("NPU", 1, 1, 7*second)
	for name, c := range map[string]struct {
		candidates []inventory.Candidate
		of         time.Duration
		want       time.Duration
	}{
		"no deadline":         {[]inventory.Candidate{gpu, npu}, 0, 0},
		"it makes it by 3 s":  {[]inventory.Candidate{gpu, npu}, 8 * second, 3*second + 1},
		"it just makes it":    {[]inventory.Candidate{gpu, npu}, 5 * second, 1},
		"it misses it":        {[]inventory.Candidate{gpu, npu}, 4 * second, 0},
		"nothing else idle":   {[]inventory.Candidate{gpu, candidate("NPU", 1, 0, second)}, 8 * second, 0},
		"nothing else at all": {[]inventory.Candidate{gpu}, 8 * second, 0},
	} {
		t.Run(name, func(t *testing.T) {
			candidates := slices.Clone(c.candidates)
			SetDeadline(candidates, "GPU", inventory.DeadlineOf(c.of, 0), pending.OwnerClaim)
			if got := Slack(policy.EarliestFinish, candidates, "GPU"); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

// TestOrderByDeadline: of pods of one priority, those come first that make a deadline so,
// the soonest of them first.
func TestOrderByDeadline(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	one := func(name string, priority int32, gain, left time.Duration) Contender {
		c := Contender{Pod: &pending.Pod{Name: name, Priority: priority, Created: now}, Gain: gain}
		if left > 0 {
			c.Keeps = now.Add(left)
		}
		return c
	}
	contenders := []Contender{
		one("gains most", 0, time.Hour, 0), one("later", 0, time.Second, time.Minute), one("soon", 0, time.Millisecond, time.Second),
		one("gains", 0, time.Second, 0), one("important", 9, time.Millisecond, 0),
	}
	Order(contenders, now, time.Hour)
	var got []string
	for _, c := range contenders {
		got = append(got, c.Name)
	}
	if diff := cmp.Diff([]string{"important", "soon", "later", "gains most", "gains"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
