package controller

import (
	"context"
	"errors"
	"time"

	"golang.org/x/sync/errgroup"

	"heteroaccel.io/connector/session"
	"heteroaccel.io/pkg/leader"
)

// Lead carries out plans until the term ends whose context ctx is, and returns when
// every write that it began has. It begins with what the API server has now: of
// writes whose outcome an earlier term did not learn, and of what another replica did
// meanwhile, nobody else tells.
func (k *Controller) Lead(ctx context.Context) error {
	if err := k.rebuild(ctx); err != nil {
		return err
	}
	k.begin(ctx)
	defer k.leave()
	takenOver := time.Now().Add(takeover)
	due := time.NewTimer(0)
	defer due.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-k.wake:
		case <-due.C:
		}
		if ctx.Err() != nil {
			return nil
		}
		now, next := time.Now(), tick
		if at := k.step(ctx, now, takenOver); !at.IsZero() {
			next = min(next, max(0, at.Sub(now)))
		}
		due.Reset(next)
	}
}

// rebuild has everything that is watched listed once more, and takes it as it is
// there. No write of this replica is under way.
func (k *Controller) rebuild(ctx context.Context) error {
	k.setRebuilding(true)
	defer k.setRebuilding(false)
	group, ctx := errgroup.WithContext(ctx)
	for _, f := range k.feeds.all() {
		group.Go(func() error { return f.Refresh(ctx) })
	}
	return group.Wait()
}

func (k *Controller) setRebuilding(on bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.rebuilding = on
}

// begin begins a term, with a plan for every pool.
func (k *Controller) begin(ctx context.Context) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.term = ctx
	clear(k.due)
	k.failures = map[session.Pool]failure{}
	for _, p := range k.table.Pools() {
		k.dirty[p] = struct{}{}
	}
}

// leave ends a term.
func (k *Controller) leave() {
	k.mu.Lock()
	k.term = nil
	k.mu.Unlock()
	k.writes.Wait()
	k.mu.Lock()
	defer k.mu.Unlock()
	clear(k.failures) // who leads now knows better
}

// leads reports whether this replica carries out plans. The caller holds the lock.
func (k *Controller) leads() bool {
	return k.term != nil && k.term.Err() == nil && leader.Check(k.term) == nil
}

// stale reports whether what the API server shows of an object is older than what is
// known, whose version is "" before the API server has shown it. Of the same version
// is what a write of ours may be about to change. The caller holds the lock.
func (k *Controller) stale(version, known string) bool {
	return !newer(version, known) && !(k.rebuilding && version == known)
}

// within is a context for one write of a request in the term: it ends with either.
// The caller holds the lock, and calls done after the write.
func (k *Controller) within(request context.Context) (ctx context.Context, done func()) {
	ctx, cancel := context.WithCancelCause(k.term)
	stop := context.AfterFunc(request, func() { cancel(context.Cause(request)) })
	k.writes.Add(1)
	return ctx, func() {
		stop()
		cancel(errors.New("the write is over"))
		k.writes.Done()
	}
}
