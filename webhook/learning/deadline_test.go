package learning

import (
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/inventory"
	"heteroaccel.io/pkg/profile"
)

// TestCountDeadline: a run counts once it succeeded and had a deadline, by the time from
// when its first pod was admitted until it ended.
func TestCountDeadline(t *testing.T) {
	const s = time.Second
	first := time.Unix(1_700_000_000, 4e8)
	for name, c := range map[string]struct {
		deadline time.Duration
		profile  time.Duration
		ended    time.Duration // after first, as the API has it
		seen     time.Duration // after first
		change   func(*inventory.Pod)

		kept, missed float64
	}{
		"none":                    {0, 0, 3 * s, 3 * s, nil, 0, 0},
		"kept":                    {5 * s, 0, 3 * s, 9 * s, nil, 1, 0},
		"kept within the second":  {5 * s, 0, 4600 * time.Millisecond, 5 * s, nil, 1, 0},
		"missed within a second":  {5 * s, 0, 4600 * time.Millisecond, 5*s + 1, nil, 0, 1},
		"missed":                  {5 * s, 0, 7 * s, 9 * s, nil, 0, 1},
		"missed that of profile":  {0, 5 * s, 7 * s, 9 * s, nil, 0, 1},
		"none, though profile":    {accel.NoDeadline, 5 * s, 7 * s, 9 * s, nil, 0, 0},
		"it failed":               {5 * s, 0, 3 * s, 3 * s, func(p *inventory.Pod) { p.Run.Succeeded = false }, 0, 0},
		"it was deleted":          {5 * s, 0, 3 * s, 3 * s, func(p *inventory.Pod) { p.Deleted = true }, 0, 0},
		"by its creation, if any": {5 * s, 0, 7 * s, 9 * s, func(p *inventory.Pod) { p.Managed.FirstAdmitted = time.Time{} }, 1, 0},
	} {
		t.Run(name, func(t *testing.T) {
			profiles := profile.NewStore()
			profiles.Set(&profile.Profile{Name: "face", Deadline: c.profile})
			l := New(Config{Profiles: profiles, Now: func() time.Time { return first.Add(c.seen) }})
			p := &inventory.Pod{
				Managed: &inventory.Managed{Inference: "face", Deadline: c.deadline, FirstAdmitted: first},
				Run:     &inventory.Run{Ends: true, Succeeded: true, Created: first.Add(3 * s), Ended: first.Add(c.ended)},
			}
			if c.change != nil {
				c.change(p)
			}
			l.countDeadline(p)
			for outcome, want := range map[string]float64{kept: c.kept, missed: c.missed} {
				if got := testutil.ToFloat64(l.deadlines.WithLabelValues(outcome)); got != want {
					t.Errorf("%v %s, want %v", got, outcome, want)
				}
			}
		})
	}
}
