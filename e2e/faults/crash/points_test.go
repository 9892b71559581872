package crash

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestPoints(t *testing.T) {
	type call struct{ phase, sort string }
	start, load := call{"start", "get secrets"}, call{"load", "create pods"}
	tests := map[string]struct {
		allow, every int
		calls        []call
		want         []When
		open         []string
	}{
		"each sort once each way": {
			allow: 10, calls: []call{start, load, start, load, start, load},
			want: []When{Before, Before, After, After, Never, Never},
		},
		"phases apart": {
			allow: 10, calls: []call{{"start", "list pods"}, {"load", "list pods"}},
			want: []When{Before, Before}, open: []string{"load: list pods (after)", "start: list pods (after)"},
		},
		"no more than allowed": {
			allow: 1, calls: []call{start, start, load},
			want: []When{Before, Never, Never},
			open: []string{"load: create pods (before)", "load: create pods (after)", "start: get secrets (after)"},
		},
		"none allowed": {
			calls: []call{start}, want: []When{Never},
			open: []string{"start: get secrets (before)", "start: get secrets (after)"},
		},
		"and every third": {
			allow: 10, every: 3, calls: []call{load, load, load, load, load, load, load, load},
			want: []When{Before, After, Never, Never, Before, Never, Never, After},
		},
	}
	for name, c := range tests {
		t.Run(name, func(t *testing.T) {
			p := &Points{Every: c.every}
			p.Allow(c.allow)
			var got []When
			kills := 0
			for _, call := range c.calls {
				when := p.Call(call.phase, call.sort)
				if when != Never {
					kills++
				}
				got = append(got, when)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("deaths (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(c.open, p.Open()); diff != "" {
				t.Errorf("open points (-want +got):\n%s", diff)
			}
			if p.Kills() != kills {
				t.Errorf("it counts %d kills, want %d", p.Kills(), kills)
			}
		})
	}
}

// TestAllowedAgain: what was not killed for want of allowance is later.
func TestAllowedAgain(t *testing.T) {
	p := &Points{}
	for i, want := range []When{Before, Never, After, Never} {
		p.Allow((i + 1) % 2)
		if got := p.Call("load", "get pods"); got != want {
			t.Errorf("call %d: %s, want %s", i, got, want)
		}
	}
	if s := fmt.Sprint(p.Sorts(), p.Points(), p.Open()); s != "1 2 []" {
		t.Errorf("it has %s", s)
	}
}
