package readmit

import (
	"context"
	"sync"
	"time"

	"heteroaccel.io/webhook/readmit/barepod"
	"heteroaccel.io/webhook/readmit/claim"
	"heteroaccel.io/webhook/readmit/pending"
	"heteroaccel.io/webhook/readmit/podapi"
	"heteroaccel.io/webhook/readmit/recreate"
	"heteroaccel.io/webhook/readmit/requeue"
	"heteroaccel.io/webhook/replacement"
)

// term is what is known in one term, and nothing of an earlier one: another replica
// may have led since. What was begun before is found in the API server, by Recover.
type term struct {
	*Readmitter
	woken chan struct{}
	// workers bounds how many pods are recreated at once.
	workers chan struct{}
	// tasks are what the term runs besides its loop.
	tasks sync.WaitGroup

	// Each of these has a lock of its own, or needs none.
	expected  *replacement.Expectations
	attempts  *attempts
	recreator *recreate.Recreator
	claimer   *claim.Claimer
	moves     moves
	bare      *barepod.Recreator
	upgrades  upgrades
	costs     costs

	// These belong to the goroutine of the loop.
	requeuer    *requeue.Requeuer
	optionCache map[*pending.Template]*cachedOptions
}

const (
	// maxWorkers is how many pods are recreated at the same time.
	maxWorkers = 16
	// settle is how long changes are gathered before they are looked at.
	settle = 10 * time.Millisecond
	// tick is the safety net under the inventory's wakeups.
	tick = 5 * time.Second
)

func (r *Readmitter) newTerm() *term {
	t := &term{
		Readmitter: r, woken: make(chan struct{}, 1), workers: make(chan struct{}, maxWorkers),
		upgrades: newUpgrades(), expected: &replacement.Expectations{}, attempts: newAttempts(), optionCache: map[*pending.Template]*cachedOptions{},
	}
	pods := &podapi.Client{Interface: r.Client, Log: r.Log}
	t.bare = barepod.New(barepod.Config{
		Pods: pods, Namespace: r.Namespace, Expected: t.expected, Refusals: r.Refusals,
		Release: r.Inventory.Release, Profiles: r.Options.Profiles, Recorder: r.Recorder, Go: t.tasks.Go,
	})
	t.recreator = recreate.New(recreate.Config{
		Pods: pods, Options: r.Options, Inventory: r.Inventory, Refusals: r.Refusals, Expected: t.expected,
		Bare: t.bare, Admitted: r.pending.Admitted, Keys: r.Keys, DryRun: r.DryRun, Verdicts: r.metrics.verdicts, ReadyLimit: r.Upgrades.Ready,
	})
	t.claimer = claim.New(claim.Config{
		Pods: pods, Options: r.Options, Refusals: r.Refusals, Pending: r.pending.Get, All: r.pending.All, Keys: r.Keys,
		Wake: t.wake, Recorder: r.Recorder, Created: r.metrics.claims,
	}, r.claims)
	t.requeuer = requeue.New(requeue.Config{
		Pods: pods, Refusals: r.Refusals, Requeues: r.metrics.requeues, Verdicts: r.metrics.verdicts,
		Began: time.Now(), Go: t.tasks.Go,
	})
	return t
}

// run recreates and moves pods until ctx ends, and returns when every task has.
func (t *term) run(ctx context.Context) {
	defer t.tasks.Wait()
	if t.Recreate { // else there may be no rights for it
		t.tasks.Go(func() { t.bare.Recover(ctx) })
		t.tasks.Go(func() { t.recreator.Recover(ctx) })
	}
	t.tasks.Go(func() { t.claimer.Run(ctx) })
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	due := time.NewTimer(0)
	defer due.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.Inventory.Wakeups():
			due.Reset(settle)
			continue
		case <-t.woken:
			due.Reset(settle)
			continue
		case <-ticker.C:
		case <-due.C:
		}
		if ctx.Err() != nil {
			return
		}
		next, left := t.pass(ctx, time.Now())
		if !left { // who waits gets an idle device before who runs
			next = sooner(next, t.moveUp(ctx, time.Now()))
		} else {
			t.upgrades.patience.Forget()
		}
		next = sooner(next, t.keepCosts(ctx, time.Now()))
		if next > 0 {
			due.Reset(next)
		}
	}
}
