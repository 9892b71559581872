package main

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"time"

	"golang.org/x/sync/errgroup"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"heteroaccel.io/e2e/poll"
	"heteroaccel.io/e2e/research/fleet"
)

// window is the time that is measured.
type window struct{ from, to time.Time }

func (w window) length() time.Duration { return w.to.Sub(w.from) }

// drain is how long the last random arrivals have to end, in intervals.
const drain = 3

// cameras repeat one inference each, the next as soon as the last has ended,
// until the window is over.
func (s *site) cameras(ctx context.Context, name string, f *fleet.Fleet, set settings, out io.Writer) ([]run, window, error) {
	began := time.Now()
	w := window{began.Add(set.warmup), began.Add(set.warmup + set.interval)}
	return s.play(ctx, name, w, w.to, out, func(ctx context.Context, b *book) error {
		group, ctx := errgroup.WithContext(ctx)
		for i := range f.Types {
			d := newDraws(f, i, "camera", set)
			group.Go(func() error {
				for time.Now().Before(w.to) {
					if err := s.ask(ctx, b, d.next(), w.to); err != nil {
						return err
					}
				}
				return nil
			})
		}
		return group.Wait()
	})
}

// visitors come at random, so many in a second, and all are served: what is
// measured are those that come within the window.
func (s *site) visitors(ctx context.Context, name string, f *fleet.Fleet, perSecond float64, set settings, out io.Writer) ([]run, window, error) {
	began := time.Now()
	w := window{began.Add(set.warmup), began.Add(set.warmup + set.interval)}
	last := w.to.Add(drain * (set.warmup + set.interval))
	return s.play(ctx, name, w, last, out, func(ctx context.Context, b *book) error {
		r := rand.New(rand.NewPCG(set.seed, 0xa221))
		group, ctx := errgroup.WithContext(ctx)
		types := make([]*draws, len(f.Types))
		for i := range types {
			types[i] = newDraws(f, i, "visitor", set)
		}
		for _, at := range arrivals(r, perSecond, set.warmup+set.interval) {
			d := types[r.IntN(len(types))]
			if err := poll.SleepUntil(ctx, began.Add(at)); err != nil {
				break // the group knows why
			}
			q := d.next()
			group.Go(func() error { return s.ask(ctx, b, q, last) })
		}
		return group.Wait()
	})
}

// ask creates a pod and waits until it has ended, or until it is too late. Where
// the connector is asked it does the same with a session.
func (s *site) ask(ctx context.Context, b *book, q *request, late time.Time) error {
	if s.connector != nil {
		return s.session(ctx, b, q, late)
	}
	done := b.expect(q, time.Now())
	if _, err := s.client.CoreV1().Pods(metav1.NamespaceDefault).Create(ctx, s.pod(q), metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("create a pod: %w", err)
	}
	over := time.NewTimer(time.Until(late))
	defer over.Stop()
	select {
	case <-done:
		return nil
	case <-over.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// play has a load come to the cluster, reports how far it is, and removes
// everything again.
func (s *site) play(ctx context.Context, name string, w window, last time.Time, out io.Writer, load func(context.Context, *book) error) ([]run, window, error) {
	following, end := context.WithCancel(ctx)
	defer end()
	b, err := follow(following, s.client, s.namespace)
	if err != nil {
		return nil, w, err
	}
	told := make(chan struct{})
	go func() {
		defer close(told)
		b.tell(following, name, w, out)
	}()
	err = load(ctx, b)
	runs, wrong := b.all()
	end()
	<-told
	if err == nil {
		err = wrong
	}
	if err != nil {
		return nil, w, err
	}
	return runs, w, s.deletePods(ctx)
}

// tell says how far it is, every now and then.
func (b *book) tell(ctx context.Context, name string, w window, out io.Writer) {
	const often = 30 * time.Second
	tick := time.NewTicker(often)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			runs, _ := b.all()
			ended := 0
			for _, r := range runs {
				if !r.ended.IsZero() {
					ended++
				}
			}
			left := max(0, w.to.Sub(now)).Round(time.Second)
			fmt.Fprintf(out, "  %s: %d runs ended, %d under way, %s to go\n", name, ended, len(runs)-ended, left)
		}
	}
}
