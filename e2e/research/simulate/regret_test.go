package main

import "testing"

// TestRegret bounds, with room to spare, what it costs to begin without times:
// next to nothing where the hints are right, less than to leave it at that
// where they are wrong or missing.
func TestRegret(t *testing.T) {
	s := settings{seed: 1, draws: 8}
	named := map[string]knowledge{}
	for _, k := range knowledges {
		named[k.name] = k
	}
	for _, tt := range []struct {
		mix             string
		load            float64
		noHints, wrongs float64 // at most
	}{
		{"aligned", .3, .25, .4},
		{"aligned", .8, .2, .35},
		{"random", .3, .45, .65},
		{"random", .8, .8, 1.7},
		{"specialists", .3, .7, 1},
	} {
		regret := func(name string) float64 {
			r, err := regretOf(s, tt.mix, tt.load, named[name])
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%s at %.1f, %s: %+.0f %%, %.0f %% of the runs were trials", tt.mix, tt.load, name, 100*r.regret(), 100*r.trials)
			if r.trials > .2 {
				t.Errorf("%s at %.1f, %s: %.0f %% of the runs were trials", tt.mix, tt.load, name, 100*r.trials)
			}
			return r.regret()
		}
		if got := regret("right hints"); got > .15 {
			t.Errorf("%s at %.1f: right hints cost %+.0f %%", tt.mix, tt.load, 100*got)
		}
		none, wrong := regret("no hints"), regret("wrong hints")
		if none > tt.noHints || wrong > tt.wrongs {
			t.Errorf("%s at %.1f: %+.0f %% with no hints, at most %+.0f %%; %+.0f %% with wrong ones, at most %+.0f %%",
				tt.mix, tt.load, 100*none, 100*tt.noHints, 100*wrong, 100*tt.wrongs)
		}
		if plain := regret("no hints, plain"); none > plain+.05 {
			t.Errorf("%s at %.1f: %+.0f %% with no hints, %+.0f %% with neither prior nor trials", tt.mix, tt.load, 100*none, 100*plain)
		}
	}
}
