package world

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"heteroaccel.io/e2e/research/fleet"
	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/policy"
	"heteroaccel.io/webhook/readmit/choice"
)

var policies = []string{"idle-first", "earliest-finish", "priced-finish"}

func named(t *testing.T, name string) policy.Policy {
	t.Helper()
	p, err := policy.Named(name)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// at is a fleet of a mix under a load, for so many turns of all slots.
func at(t *testing.T, mix string, slots int, load, turns float64) Config {
	t.Helper()
	f, err := fleet.New(mix, slots, 20, 1)
	if err != nil {
		t.Fatal(err)
	}
	b, err := f.Problem(time.Second).Solve()
	if err != nil {
		t.Fatal(err)
	}
	return Config{
		Fleet: f, Policy: policy.PricedFinish, Seed: 1,
		Rate: load * b.Rate, Startup: time.Second,
		Horizon: time.Duration(turns * float64(f.Slots()) / b.Rate * float64(time.Second)),
	}
}

func run(t *testing.T, c Config) Result {
	t.Helper()
	r, err := Run(c)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

var readmitting = &Readmit{
	Rules: choice.Rules{Margin: 250 * time.Millisecond, Backoff: 5 * time.Second, Patience: 5 * time.Minute},
	Delay: time.Second,
}

func TestSameSeedSameResult(t *testing.T) {
	c := at(t, "sparse", 40, .9, 20)
	c.Spread, c.Error, c.Failing, c.Repair, c.Readmit = .3, .3, time.Hour, time.Minute, readmitting
	one := run(t, c)
	if diff := cmp.Diff(one, run(t, c)); diff != "" {
		t.Errorf("a second run differs (-first +second):\n%s", diff)
	}
	c.Seed = 2
	if cmp.Equal(one, run(t, c)) {
		t.Error("another seed gives the same")
	}
}

// TestTheBoundBounds: what was completed could not have been in less time.
func TestTheBoundBounds(t *testing.T) {
	for _, mix := range fleet.Mixes() {
		for _, name := range policies {
			c := at(t, mix, 16, 2, 10)
			c.Policy = named(t, name)
			r := run(t, c)
			p := c.Fleet.Problem(c.Startup)
			for i, n := range r.Completed {
				p.Share[i] = float64(n)
			}
			b, err := p.Solve()
			if err != nil {
				t.Fatal(err)
			}
			if least := time.Duration(float64(time.Second) / b.Rate); least > c.Horizon {
				t.Errorf("%s, %s: completed in %v what takes %v", mix, name, c.Horizon, least)
			}
		}
	}
}

// TestPricesGetNearTheBound: at 95 % of the bound what arrives is served.
func TestPricesGetNearTheBound(t *testing.T) {
	for _, mix := range fleet.Mixes() {
		t.Run(mix, func(t *testing.T) {
			c := at(t, mix, 40, .95, 50)
			c.Warmup = c.Horizon / 3
			if r := run(t, c); r.Throughput < .95*r.Offered {
				t.Errorf("%.2f/s of %.2f/s", r.Throughput, r.Offered)
			}
		})
	}
}

// TestNobodyStarves: in overload, where everyone waits longer and longer, who
// waits the longest waits little longer than first come, first served on all
// of the fleet would make them.
func TestNobodyStarves(t *testing.T) {
	const load = 1.3
	for _, mix := range fleet.Mixes() {
		c := at(t, mix, 30, load, 25)
		r := run(t, c)
		fair := time.Duration((1 - 1/load) * float64(c.Horizon))
		if r.Oldest > 2*fair {
			t.Errorf("%s: one has waited for %v, %v would be fair", mix, r.Oldest, fair)
		}
	}
}

func TestPaper(t *testing.T) {
	f := fleet.Paper(100)
	b, err := f.Problem(time.Second).Solve()
	if err != nil {
		t.Fatal(err)
	}
	c := Config{Fleet: f, Cameras: 4, Startup: time.Second, Spread: .1, Horizon: 3 * time.Hour, Warmup: time.Hour}
	c.Policy, c.Pinned = policy.EarliestFinish, "GPU"
	gpu := run(t, c)
	if gpu.Busy[0] < .99 || gpu.On[1]+gpu.On[2]+gpu.On[3] > 0 {
		t.Errorf("pinned to the GPU: busy %v, on %v", gpu.Busy, gpu.On)
	}
	c.Policy, c.Pinned = policy.PricedFinish, ""
	all := run(t, c)
	if all.Throughput < .95*b.Rate || all.Throughput < 1.6*gpu.Throughput {
		t.Errorf("%.3f/s, the bound %.3f/s, GPU alone %.3f/s", all.Throughput, b.Rate, gpu.Throughput)
	}
}

// TestLearning: from nothing, and from hints that are wrong, the expected times
// become those that runs take, in few trials; and the same seed learns the same.
func TestLearning(t *testing.T) {
	wrong := func(typ, kind int) time.Duration { return time.Duration(1+3*((typ+kind)%2)) * 4 * time.Second }
	for name, l := range map[string]*Learning{"no hints": {}, "wrong hints": {Hint: wrong, Delay: 2 * time.Second}} {
		c := at(t, "aligned", 12, .5, 400)
		c.Spread, c.Learning, c.Arrivals = .3, l, 2000
		w, err := newWorld(c)
		if err != nil {
			t.Fatal(err)
		}
		r, err := w.run()
		if err != nil {
			t.Fatal(err)
		}
		if r.Arrivals != 2000 || r.Trials == 0 || r.Trials > r.Decisions/10 {
			t.Errorf("%s: %d arrived, %d of %d decisions were trials", name, r.Arrivals, r.Trials, r.Decisions)
		}
		for i, typ := range w.Fleet.Types {
			for j, k := range w.Fleet.Kinds {
				e := w.estimates[i][j]
				got := w.expected[i][k.Name]
				if e.Reliable() && (got > 2*typ.Service[j] || got < typ.Service[j]/2) {
					t.Errorf("%s: %s on %s takes %v, %v is expected after %d runs", name, typ.Name, k.Name, typ.Service[j], got, e.Runs)
				}
			}
		}
		if diff := cmp.Diff(r, run(t, c)); diff != "" {
			t.Errorf("%s: a second run differs (-first +second):\n%s", name, diff)
		}
	}
}

// TestEveryLatencyCounts: who waits at the horizon is served after it, and
// counts with all of the time that it took.
func TestEveryLatencyCounts(t *testing.T) {
	c := at(t, "aligned", 12, 3, 20) // three times what it can serve
	r := run(t, c)
	if r.Waiting == 0 || r.Arrivals != r.Ended+r.Running+r.Waiting {
		t.Fatalf("%d arrived, %d ended, %d run, %d wait", r.Arrivals, r.Ended, r.Running, r.Waiting)
	}
	// Who comes last waits for two horizons' worth of work before it.
	if r.P99 < c.Horizon {
		t.Errorf("the 99th percentile is %v, less than the horizon %v", r.P99, c.Horizon)
	}
}

func TestConfigIsChecked(t *testing.T) {
	good := at(t, "random", 8, .5, 1)
	for name, change := range map[string]func(*Config){
		"no fleet":               func(c *Config) { c.Fleet = nil },
		"no policy":              func(c *Config) { c.Policy = nil },
		"no arrivals":            func(c *Config) { c.Rate = 0 },
		"no time":                func(c *Config) { c.Horizon = 0 },
		"no repair":              func(c *Config) { c.Failing = 1 },
		"no time to fail again":  func(c *Config) { c.Again = .5 },
		"servers with deadlines": func(c *Config) { c.Serving, c.Slack = &Serving{}, 2 },
		"servers of no type":     func(c *Config) { c.Serving = &Serving{Deployments: []Deployment{{Type: 20, Replicas: 1}}} },
		"negative times":         func(c *Config) { c.Serving = &Serving{Ready: -1} },
	} {
		c := good
		change(&c)
		if _, err := Run(c); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	good.Pinned = accel.Kind("TPU") // nothing has it: any will do
	run(t, good)
}
