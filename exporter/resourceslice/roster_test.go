package resourceslice

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"heteroaccel.io/pkg/accel"
)

// step is one reading of the node: "" is a usable device, "away" one that was not found,
// "unread" one that could not be looked for, anything else its fault.
type step struct {
	at    time.Duration
	fault string
	want  string // the taint's value, "usable", or "absent"
}

func TestRoster(t *testing.T) {
	const settle = 10 * time.Second
	for name, steps := range map[string][]step{
		"usable": {{0, "", "usable"}, {5 * time.Second, "", "usable"}},
		"a taint comes at once, and goes after a while": {
			{0, "", "usable"}, {5 * time.Second, "broken", "broken"}, {10 * time.Second, "", "broken"},
			{14 * time.Second, "", "broken"}, {15 * time.Second, "", "usable"},
		},
		"the while begins when it works": {
			{0, "broken", "broken"}, {time.Minute, "broken", "broken"}, {time.Minute + 9*time.Second, "", "broken"}, {time.Minute + 10*time.Second, "", "usable"},
		},
		"one that comes and goes costs less and less": {
			{0, "broken", "broken"}, {10 * time.Second, "", "usable"},
			{20 * time.Second, "broken", "broken"}, {39 * time.Second, "", "broken"}, {40 * time.Second, "", "usable"},
			{50 * time.Second, "broken", "broken"}, {89 * time.Second, "", "broken"}, {90 * time.Second, "", "usable"},
			// After ten minutes without a taint it is trusted again.
			{12 * time.Minute, "broken", "broken"}, {12*time.Minute + 10*time.Second, "", "usable"},
		},
		"the reason changes as rarely": {
			{0, "broken", "broken"}, {5 * time.Second, "hot", "broken"}, {10 * time.Second, "hot", "hot"},
			{12 * time.Second, "broken", "hot"}, {21 * time.Second, "", "hot"}, {22 * time.Second, "", "usable"},
		},
		"a device that is away": {
			{0, "", "usable"}, {5 * time.Second, "away", "the-kernel-has-no-such-device-any-more"}, {6 * time.Second, "", "the-kernel-has-no-such-device-any-more"},
			{15 * time.Second, "", "usable"},
		},
		"a device that is gone": {
			{0, "", "usable"}, {5 * time.Second, "away", "the-kernel-has-no-such-device-any-more"}, {10 * time.Minute, "away", "the-kernel-has-no-such-device-any-more"},
			{11 * time.Minute, "away", "absent"}, {12 * time.Minute, "", "usable"},
		},
		"sysfs cannot be read":                    {{0, "", "usable"}, {5 * time.Second, "unread", "usable"}, {time.Hour, "unread", "usable"}, {time.Hour + time.Second, "away", "absent"}},
		"sysfs cannot be read, and it was broken": {{0, "broken", "broken"}, {time.Hour, "unread", "broken"}},
	} {
		t.Run(name, func(t *testing.T) {
			start := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
			r := NewRoster(settle)
			for _, s := range steps {
				var offers []Offer
				if s.fault != "away" && s.fault != "unread" {
					d := npu
					d.Fault = s.fault
					offers = append(offers, Offer{Device: d, Slots: 1})
				}
				got := "absent"
				for _, d := range r.Update(start.Add(s.at), offers, s.fault != "unread") {
					got = "usable"
					for _, taint := range d.Taints {
						got = taint.Value
					}
				}
				if got != s.want {
					t.Errorf("after %s: %s, want %s", s.at, got, s.want)
				}
			}
		})
	}
}

// TestFlapping: a device that breaks every other reading for a day is published a
// bounded number of times.
func TestFlapping(t *testing.T) {
	now := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	r := NewRoster(10 * time.Second)
	changes, before := 0, 0
	for i := range 24 * 720 {
		d := npu
		// Broken for 15 s of every half minute: longer than the first holds.
		if i%6 < 3 {
			d.Fault = "it does not answer"
		}
		got := r.Update(now.Add(time.Duration(i)*5*time.Second), []Offer{{Device: d, Slots: 1}}, true)
		if len(got[0].Taints) != before {
			before = len(got[0].Taints)
			changes++
		}
	}
	if changes == 0 || changes > 5 {
		t.Errorf("in a day it was published %d times", changes)
	}
}

// TestOrder: devices are in the order of their names, and taints in theirs, so that
// nothing is written again for want of an order.
func TestOrder(t *testing.T) {
	r := NewRoster(time.Second)
	first, second := npu, npu
	second.ID, second.Fault = "0000:00:0c.0", "broken"
	var want []string
	for i, offers := range [][]Offer{
		{{Device: first, UsedBy: "x"}, {Device: second, UsedBy: "y"}},
		{{Device: second, UsedBy: "y"}, {Device: first, UsedBy: "x"}},
	} {
		var got []string
		for _, d := range r.Update(time.Now(), offers, true) {
			got = append(got, d.Name)
			for _, taint := range d.Taints {
				got = append(got, strings.TrimPrefix(taint.Key, accel.DeviceDriver+"/")+"="+taint.Value+":"+string(taint.Effect))
			}
		}
		if i == 0 {
			want = []string{"npu-0000-00-0b-0", "in-use=x:NoSchedule", "npu-0000-00-0c-0", "unhealthy=broken:NoSchedule", "in-use=y:NoSchedule"}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
	}
}
