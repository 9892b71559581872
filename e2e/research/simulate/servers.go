package main

import (
	"fmt"
	"io"
	"runtime"
	"strings"
	"text/tabwriter"
	"time"

	"golang.org/x/sync/errgroup"

	"heteroaccel.io/e2e/research/bound"
	"heteroaccel.io/e2e/research/fleet"
	"heteroaccel.io/e2e/research/simulate/world"
	"heteroaccel.io/pkg/policy"
	"heteroaccel.io/webhook/readmit/upgrade"
)

// stretch is how many inferences a Job of the servers' fleets does in a run, where a server
// does one for each request: a run takes as many times as long as a request.
const stretch = 100

// What happens to servers, and to the nodes that they run on.
const (
	rollouts = 4 * time.Hour // from one rollout of a Deployment to the next, on average
	repair   = 5 * time.Minute
	// again is how likely a node that came back fails again, after againAfter on average.
	again      = .5
	againAfter = 15 * time.Minute
	// busy is what is asked of servers, in parts of what they do on their fastest kinds.
	busy = .8
)

// serverLoads are arrivals of Jobs, in parts of what is left beside the servers.
var serverLoads = []float64{.3, .6, .9, 1.1}

// moving are who moves up.
var moving = []struct {
	name  string
	rules *upgrade.Rules
	asks  bool
}{
	{name: "nobody"}, {name: "displaced", rules: &upgrade.Default}, {name: "all that ask", rules: &upgrade.Default, asks: true},
}

// site is a fleet and how many replicas each of its Deployments has.
type site struct {
	name     string
	fleet    *fleet.Fleet
	replicas []int
}

// sites are one GPU, one FPGA and one NPU at the edge; a fleet on which all servers want the
// same kind, which is too scarce for all; and one on which they want different ones.
func sites(seed uint64) ([]site, error) {
	all := []site{{"edge: a node each with a GPU, an FPGA and an NPU", fleet.Paper(stretch), []int{1}}}
	for _, s := range []struct {
		name, mix string
		slots     int
		replicas  []int
	}{
		{"24 devices, the GPU is best for all", "aligned", 24, []int{1, 2, 3, 1}},
		{"40 devices, each inference has a best kind of its own", "random", 40, []int{1, 2, 3, 1, 2, 3}},
	} {
		f, err := fleet.New(s.mix, s.slots, 12, seed)
		if err != nil {
			return nil, err
		}
		for i := range f.Types { // from 10 s to 100 s: else a day is too many Jobs
			for j := range f.Types[i].Service {
				f.Types[i].Service[j] *= 10
			}
		}
		all = append(all, site{s.name, f, s.replicas})
	}
	return all, nil
}

// deploy returns the Deployments of a site, one of each of its first inferences; what is
// left for Jobs when every server has the fastest kind that is left for it; and how many of
// the servers have the fastest of all then.
func (one site) deploy() (all []world.Deployment, left bound.Problem, best int) {
	left = one.fleet.Problem(startup)
	for typ, replicas := range one.replicas {
		service := one.fleet.Types[typ].Service
		for range replicas {
			on := -1
			for j, takes := range service {
				if takes > 0 && left.Slots[j] >= 1 && (on < 0 || takes < service[on]) {
					on = j
				}
			}
			if on < 0 {
				continue
			}
			left.Slots[on]--
			if service[on] == one.fleet.Fastest(typ) {
				best++
			}
		}
		all = append(all, world.Deployment{Type: typ, Replicas: replicas, Demand: busy * float64(replicas) / one.fleet.Fastest(typ).Seconds()})
	}
	return all, left, best
}

// mostDays is how many days each is the mean of, unless fewer draws are asked for: they differ
// in when Jobs arrive, and in what is rolled out and fails when.
const mostDays = 5

// servers is days of servers and Jobs: what it gains servers to be moved up, and what it
// costs Jobs.
func servers(s settings, out io.Writer) error {
	all, err := sites(s.seed)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "\nServers for %v, mean of %d: a rollout of each Deployment every %v and a failure of each node every %v on average (0s: none), for %v,\n"+
		"after which every second node fails again within %v on average; a server is Ready %v after it got its device. Loads of Jobs are in parts\n"+
		"of what is left beside the servers. In brackets: moves of one Deployment in an hour, at most.\n", s.day, s.days(), rollouts, s.failing, repair, againAfter, s.ready)
	for _, one := range all {
		if err := one.report(s, out); err != nil {
			return fmt.Errorf("%s: %w", one.name, err)
		}
	}
	return nil
}

func (s settings) days() int { return min(mostDays, s.draws) }

// play runs one day of a site, under a load of Jobs in parts of b.
func (one site) play(s settings, load float64, b bound.Bound, who, day int) (round, error) {
	m := moving[who]
	c := world.Config{
		Fleet: one.fleet, Rate: load * b.Rate, Spread: spread, Seed: s.seed + uint64(day), Horizon: s.day,
		Failing: s.failing, Repair: repair, Again: again, AgainAfter: againAfter,
		Serving: &world.Serving{Rollouts: rollouts, Ready: s.ready, MoveUp: m.rules},
	}
	c.Serving.Deployments, _, _ = one.deploy()
	for i := range c.Serving.Deployments {
		c.Serving.Deployments[i].Asks = m.asks
	}
	return play(contestant{name: m.name, policy: policy.Default, readmit: true}, c, b)
}

// report prints a line for each load and for each of who moves up.
func (one site) report(s settings, out io.Writer) error {
	deployments, left, best := one.deploy()
	b, err := left.Solve()
	if err != nil {
		return err
	}
	lines := make([][]round, len(serverLoads)*len(moving))
	var group errgroup.Group
	group.SetLimit(runtime.GOMAXPROCS(0))
	for i := range lines {
		lines[i] = make([]round, s.days())
		for day := range lines[i] {
			group.Go(func() (err error) {
				lines[i][day], err = one.play(s, serverLoads[i/len(moving)], b, i%len(moving), day)
				return err
			})
		}
	}
	if err := group.Wait(); err != nil {
		return err
	}
	replicas := 0
	for _, n := range one.replicas {
		replicas += n
	}
	fmt.Fprintf(out, "\n%s: %d Deployments of %v replicas; %d of %d can be on their best kinds; %.2f inferences/s are their demand; Jobs at most %.3f/s\n",
		one.name, len(deployments), one.replicas, best, replicas, lines[0][0].Served.Demand*stretch, b.Rate)
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, strings.Join([]string{"load", "who moves up", "inferences/s", "of demand", "on the best kind", "moved: displaced", "asked", "failed", "held twice", "Jobs/s", "wait", "mean", "p95"}, "\t")+"\t")
	for i, days := range lines {
		v := meanOf(days)
		columns := []string{
			fmt.Sprintf("%.2f", serverLoads[i/len(moving)]), moving[i%len(moving)].name,
			fmt.Sprintf("%.2f", v.rate*stretch), percent(v.rate / v.demand), percent(v.best),
			fmt.Sprintf("%.1f (%d)", v.displaced, v.mostDisplaced), fmt.Sprintf("%.1f (%d)", v.asked, v.mostAsked), fmt.Sprintf("%.1f", v.abandoned), fmt.Sprintf("%.0f s", v.twice),
			fmt.Sprintf("%.4f", v.jobs), fmt.Sprintf("%.0f s", v.wait), fmt.Sprintf("%.0f s", v.latency), fmt.Sprintf("%.0f s", v.p95),
		}
		fmt.Fprintln(t, strings.Join(columns, "\t")+"\t")
	}
	return t.Flush()
}

// days are the mean of some: times in seconds, and what one Deployment was moved in an hour
// at most.
type days struct {
	demand, rate, best, displaced, asked, abandoned, twice float64
	jobs, wait, latency, p95                               float64
	mostDisplaced, mostAsked                               int
}

func meanOf(rounds []round) (d days) {
	n := float64(len(rounds))
	for _, r := range rounds {
		v := r.Served
		d.demand, d.rate, d.best = d.demand+v.Demand/n, d.rate+v.Rate/n, d.best+v.Best/n
		d.displaced, d.asked, d.abandoned = d.displaced+float64(v.Displaced)/n, d.asked+float64(v.Asked)/n, d.abandoned+float64(v.Abandoned)/n
		d.twice, d.jobs = d.twice+v.Twice.Seconds()/n, d.jobs+r.Throughput/n
		d.wait, d.latency, d.p95 = d.wait+r.Waited.Seconds()/n, d.latency+r.Mean.Seconds()/n, d.p95+r.P95.Seconds()/n
		d.mostDisplaced, d.mostAsked = max(d.mostDisplaced, v.MostDisplaced), max(d.mostAsked, v.MostAsked)
	}
	return d
}
