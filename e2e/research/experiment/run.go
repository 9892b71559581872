package main

import (
	"context"
	"fmt"
	"io"
	"slices"

	"heteroaccel.io/e2e/research/fleet"
)

// repeat is the experiment; everything it started has ended when it returns.
func repeat(ctx context.Context, s settings, out io.Writer) error {
	f := paper(s.stretch)
	b, err := f.Problem(0).Solve()
	if err != nil {
		return fmt.Errorf("compute the bound: %w", err)
	}
	describe(out, s, f, b.Rate)

	var cameras, visitors []named
	if !s.late {
		fmt.Fprintf(out, "\nA: pinned to the GPU, without HeteroAccel\n\n")
		a, err := closed(ctx, "A: GPU", s, f, out, plain)
		if err != nil {
			return err
		}
		cameras = append(cameras, a)
	}
	for _, policy := range s.policies {
		for _, late := range bindings(s) {
			name := policy
			if late {
				name += ", late"
			}
			fmt.Fprintf(out, "\nB: any accelerator, %s\n\n", name)
			err := with(ctx, out, func(ctx context.Context, out io.Writer) (*site, error) { return installed(ctx, policy, late, f, out) }, func(at *site) error {
				closed, open, err := at.both(ctx, name, b.Rate, s, f, out)
				cameras, visitors = append(cameras, closed...), append(visitors, open...)
				return err
			})
			if err != nil {
				return err
			}
		}
	}
	if s.late {
		if err := bindingTable(out, slices.Concat(cameras, visitors)); err != nil {
			return err
		}
	}
	if len(s.deadlines) > 0 {
		if err := deadlineTable(out, s.deadlines, slices.Concat(cameras, visitors)); err != nil {
			return err
		}
	}
	if err := paperTable(out, f, s.stretch, cameras); err != nil {
		return err
	}
	if err := latencyTable(out, f, cameras); err != nil {
		return err
	}
	if err := busyTable(out, f, cameras); err != nil {
		return err
	}
	if len(visitors) == 0 {
		return nil
	}
	return openTable(out, f, visitors)
}

// bindings are the ways of binding that B is done with: late or not.
func bindings(s settings) []bool {
	if s.late {
		return []bool{false, true}
	}
	return []bool{false}
}

// both measures the cameras, and then random arrivals at each rate; all of it first
// without a deadline, and then with each.
func (s *site) both(ctx context.Context, name string, bound float64, set settings, f *fleet.Fleet, out io.Writer) (cameras, visitors []named, err error) {
	r, err := s.closed(ctx, "B: "+name, set, f, out)
	if err != nil {
		return nil, nil, err
	}
	cameras = append(cameras, r)
	if set.connector {
		r, err := s.sessions(ctx, "C: "+name, set, f, out)
		if err != nil {
			return nil, nil, err
		}
		cameras = append(cameras, r)
	}
	for _, load := range set.loads {
		r, err := s.open(ctx, name, load, load*bound, set, f, out)
		if err != nil {
			return nil, nil, err
		}
		visitors = append(visitors, r)
	}
	for _, d := range set.deadlines {
		within, name := *s, fmt.Sprintf("%s within %s", name, d)
		within.deadline = d
		set := set
		set.deadlines, set.connector = nil, false
		closed, open, err := within.both(ctx, name, bound, set, f, out)
		if err != nil {
			return nil, nil, err
		}
		cameras, visitors = append(cameras, closed...), append(visitors, open...)
	}
	return cameras, visitors, nil
}

// describe says what is about to be done.
func describe(out io.Writer, s settings, f *fleet.Fleet, bound float64) {
	fmt.Fprintf(out, "The paper's experiment: nodes G, F and N, four cameras, each with an inference of its own.\n")
	fmt.Fprintf(out, "Service times are the paper's × %g (sigma of single runs %g):", s.stretch, s.spread)
	for j, k := range f.Kinds {
		fmt.Fprintf(out, " %s %.2fs", k.Name, f.Types[0].Service[j].Seconds())
	}
	fmt.Fprintf(out, ".\nThe best possible mix does %.2f/s × %g = %.2f inferences a second.\n", bound, s.stretch, bound*s.stretch)
	fmt.Fprintf(out, "Each time %s are measured, after %s that are not.\n", s.interval, s.warmup)
}

// with starts a cluster, uses it and stops it.
func with(ctx context.Context, out io.Writer, start func(context.Context, io.Writer) (*site, error), use func(*site) error) error {
	at, err := start(ctx, out)
	if err != nil {
		return err
	}
	defer at.stop()
	return use(at)
}

// closed starts a cluster for the cameras alone.
func closed(ctx context.Context, name string, s settings, f *fleet.Fleet, out io.Writer, start func(context.Context, io.Writer) (*site, error)) (r named, err error) {
	err = with(ctx, out, start, func(at *site) (err error) {
		r, err = at.closed(ctx, name, s, f, out)
		return err
	})
	return r, err
}

// closed measures the cameras.
func (s *site) closed(ctx context.Context, name string, set settings, f *fleet.Fleet, out io.Writer) (named, error) {
	before, err := s.claimEnds(ctx)
	if err != nil {
		return named{}, err
	}
	runs, w, err := s.cameras(ctx, name, f, set, out)
	if err != nil {
		return named{}, fmt.Errorf("%s: %w", name, err)
	}
	return s.sumUp(ctx, named{name: name}, before, runs, w, byEnd, f)
}

// sumUp measures runs, and reads how the claims of pods that are bound late ended since
// before.
func (s *site) sumUp(ctx context.Context, r named, before claimEnds, runs []run, w window, counts counted, f *fleet.Fleet) (named, error) {
	var err error
	if r.result, err = measure(runs, w, counts, f); err != nil {
		return r, err
	}
	after, err := s.claimEnds(ctx)
	r.claims = after.since(before)
	return r, err
}

// sessions measures the cameras once more, as clients of the connector.
func (s *site) sessions(ctx context.Context, name string, set settings, f *fleet.Fleet, out io.Writer) (named, error) {
	asking, err := s.asking(ctx)
	if err != nil {
		return named{}, fmt.Errorf("%s: %w", name, err)
	}
	defer s.stack.Process("connector").Kill()
	return asking.closed(ctx, name, set, f, out)
}

// open measures random arrivals.
func (s *site) open(ctx context.Context, name string, part, perSecond float64, set settings, f *fleet.Fleet, out io.Writer) (named, error) {
	before, err := s.claimEnds(ctx)
	if err != nil {
		return named{}, err
	}
	runs, w, err := s.visitors(ctx, fmt.Sprintf("%s, %.0f %% of the bound", name, 100*part), f, perSecond, set, out)
	if err != nil {
		return named{}, fmt.Errorf("%s at %g of the bound: %w", name, part, err)
	}
	return s.sumUp(ctx, named{name: name, part: part}, before, runs, w, byStart, f)
}
