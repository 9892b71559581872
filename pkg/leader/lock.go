package leader

import (
	"context"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
)

// lock is the Lease as client-go's election reads and writes it, and tells a hold
// what that means.
type lock struct {
	*resourcelock.LeaseLock
	hold *hold
	// limit bounds each call: client-go does not while it stands by.
	limit time.Duration
	// pause is how long after a write there is no other: client-go, which looks more
	// often, is told that the last one was well, or waits for the next try.
	pause time.Duration
	// tried is when the last write was sent, and failed what became of it.
	tried   instant
	written bool
	failed  error
}

// Get reads the Lease.
func (l *lock) Get(ctx context.Context) (*resourcelock.LeaderElectionRecord, []byte, error) {
	call, cancel := context.WithTimeout(ctx, l.limit)
	defer cancel()
	record, raw, err := l.LeaseLock.Get(call)
	if err != nil && !apierrors.IsNotFound(err) {
		l.rest(ctx, l.pause)
	}
	// client-go goes on trying to renew what another has, until the deadline.
	if apierrors.IsNotFound(err) || err == nil && record.HolderIdentity != l.Identity() {
		l.hold.lost()
	}
	return record, raw, err
}

// Create writes the first Lease.
func (l *lock) Create(ctx context.Context, r resourcelock.LeaderElectionRecord) error {
	return l.write(ctx, r, l.LeaseLock.Create)
}

// Update takes or renews the Lease.
func (l *lock) Update(ctx context.Context, r resourcelock.LeaderElectionRecord) error {
	return l.write(ctx, r, l.LeaseLock.Update)
}

func (l *lock) write(ctx context.Context, r resourcelock.LeaderElectionRecord, call func(context.Context, resourcelock.LeaderElectionRecord) error) error {
	sent := l.hold.clock()
	if left := l.pause - sent.since(l.tried); l.written && left > 0 {
		if l.failed == nil {
			return nil
		}
		l.rest(ctx, left)
		sent = l.hold.clock()
	}
	ctx, cancel := context.WithTimeout(ctx, l.limit)
	defer cancel()
	l.tried, l.written = sent, true
	if l.failed = call(ctx, r); l.failed == nil {
		l.failed = l.hold.renewed(sent)
	}
	return l.failed
}

// rest keeps client-go from trying, and logging, what has failed at every look.
func (l *lock) rest(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// release lets another replica have the Lease at once, if it is still ours. The
// election must be over.
func (l *lock) release(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), l.limit)
	defer cancel()
	r, _, err := l.LeaseLock.Get(ctx)
	if apierrors.IsNotFound(err) || err == nil && r.HolderIdentity != l.Identity() {
		return nil
	}
	if err == nil {
		now := metav1.Now()
		// The holder is empty, and the API server takes no duration of 0.
		err = l.LeaseLock.Update(ctx, resourcelock.LeaderElectionRecord{
			LeaderTransitions: r.LeaderTransitions, LeaseDurationSeconds: 1, AcquireTime: now, RenewTime: now,
		})
	}
	if err != nil {
		return fmt.Errorf("release the lease: %w", err)
	}
	return nil
}

// isOver reports whether an error is that the Lease is not held.
func isOver(err error) bool {
	return errors.Is(err, errExpired) || errors.Is(err, errLost) || errors.Is(err, errDone)
}
