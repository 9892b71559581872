package main

import (
	"context"
	"fmt"
	"io"

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

	fmt.Fprintf(out, "\nA: pinned to the GPU, without HeteroAccel\n\n")
	a, err := closed(ctx, "A: GPU", s, f, out, plain)
	if err != nil {
		return err
	}
	cameras := []named{a}
	var visitors []named
	for _, policy := range s.policies {
		fmt.Fprintf(out, "\nB: any accelerator, %s\n\n", policy)
		err := with(ctx, out, func(ctx context.Context, out io.Writer) (*site, error) { return installed(ctx, policy, f, out) }, func(at *site) error {
			r, err := at.closed(ctx, "B: "+policy, s, f, out)
			if err != nil {
				return err
			}
			cameras = append(cameras, r)
			if s.connector {
				r, err := at.sessions(ctx, "C: "+policy, s, f, out)
				if err != nil {
					return err
				}
				cameras = append(cameras, r)
			}
			for _, load := range s.loads {
				r, err := at.open(ctx, policy, load, load*b.Rate, s, f, out)
				if err != nil {
					return err
				}
				visitors = append(visitors, r)
			}
			return nil
		})
		if err != nil {
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
	runs, w, err := s.cameras(ctx, name, f, set, out)
	if err != nil {
		return named{}, fmt.Errorf("%s: %w", name, err)
	}
	r, err := measure(runs, w, byEnd, f)
	return named{name: name, result: r}, err
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
	runs, w, err := s.visitors(ctx, fmt.Sprintf("%s, %.0f %% of the bound", name, 100*part), f, perSecond, set, out)
	if err != nil {
		return named{}, fmt.Errorf("%s at %g of the bound: %w", name, part, err)
	}
	r, err := measure(runs, w, byStart, f)
	return named{name: name, result: r, part: part}, err
}
