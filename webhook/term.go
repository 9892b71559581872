package main

import (
	"context"
	"time"

	"golang.org/x/sync/errgroup"

	"heteroaccel.io/pkg/inventory"
	"heteroaccel.io/pkg/kube"
	"heteroaccel.io/webhook/refusals"
	"heteroaccel.io/webhook/server"
)

// term is what the replica that decides does, and no other.
type term struct {
	feeds     *kube.Feeds
	telemetry interface{ Synced() error }
	inv       *inventory.Inventory
	against   *refusals.Memory
	server    *server.Server
	// work runs for a term's time.
	work []func(context.Context) error
}

// run decides until the term ends. First it sees every object as the API server has
// it now: what was decided before it, by this replica or another, is in there. Its
// own reservations and decisions of an earlier term are not kept.
func (t *term) run(ctx context.Context) error {
	if err := t.feeds.Refresh(ctx); err != nil {
		return err
	}
	check := time.NewTicker(100 * time.Millisecond)
	defer check.Stop()
	for t.telemetry.Synced() != nil {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-check.C:
		}
	}
	t.inv.ReleaseAll()
	t.against.ForgetDecisions()
	group, ctx := errgroup.WithContext(ctx)
	for _, work := range t.work {
		group.Go(func() error { return work(ctx) })
	}
	group.Go(func() error {
		end := t.server.Begin(ctx)
		defer end()
		<-ctx.Done()
		return nil
	})
	return group.Wait()
}
