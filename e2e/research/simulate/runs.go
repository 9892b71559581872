package main

import (
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"gonum.org/v1/plot/plotter"

	"heteroaccel.io/e2e/research/bound"
	"heteroaccel.io/e2e/research/fleet"
	"heteroaccel.io/e2e/research/simulate/world"
	"heteroaccel.io/pkg/policy"
)

const spread = .3 // of a run's service time around its type's

func run(s settings, out io.Writer) error {
	if err := os.MkdirAll(s.out, 0o755); err != nil {
		return err
	}
	for _, p := range parts {
		if !slices.Contains(s.parts, p.name) {
			continue
		}
		if err := p.run(s, out); err != nil {
			return err
		}
	}
	return nil
}

// parts are what is simulated, in order.
var parts = []struct {
	name string
	run  func(settings, io.Writer) error
}{
	{"regret", regrets}, {"paper", paper}, {"loads", loads}, {"small", small},
	{"deadlines", deadlines}, {"hardships", hardships}, {"servers", servers}, {"growth", growth},
}

func partNames() (names []string) {
	for _, p := range parts {
		names = append(names, p.name)
	}
	return names
}

// paper is the paper's fleet: the closed loop of its four cameras, one of twice
// as many, and arrivals that wait for nobody.
func paper(s settings, out io.Writer) error {
	const stretch = 100
	f := fleet.Paper(stretch)
	b, err := f.Problem(startup).Solve()
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "The paper's fleet, service times × %d, start-up %v; bound %.2f/s × %[1]d\n", stretch, startup, b.Rate*stretch)
	for _, cameras := range []int{4, 8} {
		c := world.Config{Fleet: f, Cameras: cameras, Spread: spread, Seed: s.seed, Horizon: time.Duration(s.turns) * 1000 * time.Second, Warmup: time.Duration(s.turns) * 100 * time.Second}
		rounds, err := playAll([]world.Config{c}, b)
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "\n%d cameras in a closed loop\n", cameras)
		t := newTable(out, f)
		for _, r := range rounds {
			r.Throughput, r.Best = r.Throughput*stretch, r.Best*stretch
			t.add(r)
		}
		if err := t.Flush(); err != nil {
			return err
		}
	}
	fmt.Fprintf(out, "\nThe paper's fleet in an open loop\n")
	_, err = arrivals(s, f, b, []float64{.5, .8, .95}, 20*float64(s.turns), out)
	return err
}

// loads is every mix under rising load, from plenty to overload.
func loads(s settings, out io.Writer) error {
	for _, mix := range s.mixes {
		rounds, f, err := load(s, mix, s.slots, s.loads, float64(s.turns), out)
		if err != nil {
			return err
		}
		if err := chartsOf(s.out, f.Name, rounds); err != nil {
			return err
		}
	}
	return nil
}

// small is where chance counts most: a dozen devices.
func small(s settings, out io.Writer) error {
	for _, mix := range s.mixes {
		if _, _, err := load(s, mix, 12, []float64{.5, .8, .95}, 20*float64(s.turns), out); err != nil {
			return err
		}
	}
	return nil
}

func load(s settings, mix string, slots int, loads []float64, n float64, out io.Writer) ([]round, *fleet.Fleet, error) {
	f, err := fleet.New(mix, slots, s.types, s.seed)
	if err != nil {
		return nil, nil, err
	}
	b, err := f.Problem(startup).Solve()
	if err != nil {
		return nil, nil, err
	}
	fmt.Fprintf(out, "\nMix %q: %d devices, %d types; bound %.2f/s, prices by kind %.2f\n", mix, slots, s.types, b.Rate, b.Prices)
	rounds, err := arrivals(s, f, b, loads, n, out)
	return rounds, f, err
}

// arrivals runs a fleet at some loads for n turns.
func arrivals(s settings, f *fleet.Fleet, b bound.Bound, loads []float64, n float64, out io.Writer) ([]round, error) {
	t := newTable(out, f)
	var cs []world.Config
	for _, l := range loads {
		c := world.Config{Fleet: f, Rate: l * b.Rate, Spread: spread, Seed: s.seed, Horizon: turns(f, b, n)}
		c.Warmup = c.Horizon / 2
		cs = append(cs, c)
	}
	rounds, err := playAll(cs, b)
	if err != nil {
		return nil, err
	}
	for _, r := range rounds {
		t.add(r)
	}
	return rounds, t.Flush()
}

// hardships are nodes that fail and service times that are not what was
// expected.
func hardships(s settings, out io.Writer) error {
	f, err := fleet.New("random", s.slots, s.types, s.seed)
	if err != nil {
		return err
	}
	b, err := f.Problem(startup).Solve()
	if err != nil {
		return err
	}
	turn := turns(f, b, 1)
	for _, h := range []struct {
		what  string
		apply func(*world.Config)
	}{
		{"each node fails every 50 turns and is away for 3", func(c *world.Config) { c.Failing, c.Repair = 50*turn, 3*turn }},
		{"expected service times are off by a factor of 1.6 (sigma)", func(c *world.Config) { c.Error = .5 }},
		{"single runs vary as much as they last", func(c *world.Config) { c.Spread = 1 }},
	} {
		fmt.Fprintf(out, "\nMix \"random\", %d devices, 80 %% of the bound: %s\n", s.slots, h.what)
		t := newTable(out, f)
		c := world.Config{Fleet: f, Rate: .8 * b.Rate, Spread: spread, Seed: s.seed, Horizon: time.Duration(s.turns) * turn}
		c.Warmup = c.Horizon / 2
		h.apply(&c)
		rounds, err := playAll([]world.Config{c}, b)
		if err != nil {
			return err
		}
		for _, r := range rounds {
			t.add(r)
		}
		if err := t.Flush(); err != nil {
			return err
		}
	}
	return nil
}

const (
	// manyDevices are those of fleets of which one policy is run.
	manyDevices = 10_000
	// steadyTurns are enough for a steady state, and fewTurns for what a decision costs.
	steadyTurns, fewTurns = 20, 3
)

// growthTurns is for how many turns a fleet of that size is run.
func growthTurns(s settings, slots int) float64 {
	if slots > 10*manyDevices {
		return min(fewTurns, float64(s.turns))
	}
	return min(steadyTurns, float64(s.turns))
}

// growth is what a decision costs as fleets grow, with 2,000 types. It runs one
// at a time, so that they do not disturb each other; of large fleets the default
// policy alone, as the others cost the same.
func growth(s settings, out io.Writer) error {
	const types = 2000
	fmt.Fprintf(out, "\nGrowth: mix \"random\", %d types, 95 %% of the bound\n", types)
	var t *table
	cost := chart{title: "cost of a decision", x: "devices", y: "µs", logarithmic: true}
	lines := map[string]*line{}
	for slots := 100; slots <= s.largest; slots *= 10 {
		fmt.Fprintf(out, "%d devices, %.0f turns\n", slots, growthTurns(s, slots))
		f, err := fleet.New("random", slots, types, s.seed)
		if err != nil {
			return err
		}
		b, err := f.Problem(startup).Solve()
		if err != nil {
			return err
		}
		if t == nil {
			t = newTable(out, f, "devices")
		}
		for _, p := range contestants {
			if p.readmit || p.pinned != "" || slots > manyDevices && p.policy != policy.Default {
				continue
			}
			c := world.Config{Fleet: f, Rate: .95 * b.Rate, Spread: spread, Seed: s.seed, Horizon: turns(f, b, growthTurns(s, slots))}
			c.Warmup = c.Horizon / 2
			r, err := play(p, c, b)
			if err != nil {
				return err
			}
			t.add(r, fmt.Sprint(slots))
			if lines[p.name] == nil {
				lines[p.name] = &line{name: p.name}
			}
			lines[p.name].points = append(lines[p.name].points, plotter.XY{X: float64(slots), Y: float64(r.Deciding) / 1e3})
		}
	}
	for _, p := range contestants {
		if l := lines[p.name]; l != nil {
			cost.lines = append(cost.lines, *l)
		}
	}
	if err := cost.write(s.out, "decision-cost"); err != nil {
		return err
	}
	if t == nil {
		return nil
	}
	return t.Flush()
}
