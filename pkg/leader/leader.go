package leader

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
)

// Config is what a Leader needs; every field is required that does not say otherwise.
type Config struct {
	// Client should be for the Lease alone, so that nothing delays a renewal.
	Client kubernetes.Interface
	// Namespace and Lease name the Lease.
	Namespace, Lease string
	// Address is where the other replicas reach this one, host:port; "" when they need
	// not.
	Address string
	Flags
	Log zerolog.Logger
}

// Leader takes part in the election of the replica that decides. Use New.
type Leader struct {
	Config
	clock clock
	// patience is how long the work of a term may take to return after its end.
	patience time.Duration
	// current is the hold of the term, nil when there is none.
	current atomic.Pointer[hold]
	terms   atomic.Int64
	sight   sight
}

// patience is longer than a call of the API server may take.
const patience = 30 * time.Second

// New prepares the election.
func New(c Config) (*Leader, error) {
	l := &Leader{Config: c, clock: sinceNow(), patience: patience, sight: sight{changed: make(chan struct{})}}
	if !c.Elect {
		return l, nil
	}
	if _, _, err := l.candidate(func() {}); err != nil {
		return nil, err
	}
	return l, nil
}

// Run calls do for every term of this replica, one after another, until ctx ends;
// without an election, once. The term's context ends with it, and do returns then:
// if it does not within half a minute, Run gives up with an error, and the program
// should end. If do returns before the end of its term, Run releases the Lease and
// returns what do returned.
func (l *Leader) Run(ctx context.Context, do func(term context.Context) error) error {
	if !l.Elect {
		never := make(chan struct{})
		_, err := l.term(ctx, newHold(l.clock, 0), never, func() {}, do)
		return err
	}
	for ctx.Err() == nil {
		if done, err := l.stand(ctx, do); done || err != nil {
			return err
		}
	}
	return nil
}

// stand takes part until ctx ends or one term has ended; done is set when there is
// to be no other.
func (l *Leader) stand(ctx context.Context, do func(context.Context) error) (done bool, err error) {
	elected := make(chan struct{})
	elector, lease, err := l.candidate(func() { close(elected) })
	if err != nil {
		return true, err
	}
	// The Lease is renewed until the work of the term has returned, even if ctx has
	// ended.
	election, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		elector.Run(election)
	}()
	select {
	case <-elected:
		done, err = l.term(ctx, lease.hold, ended, stop, do)
	case <-ended:
	case <-ctx.Done():
	}
	stop()
	<-ended
	if done || err != nil || ctx.Err() != nil {
		if failed := lease.release(ctx); failed != nil {
			l.Log.Info().Err(failed).Msg("the next leader waits until the lease expires")
		}
	}
	return done, err
}

// candidate returns an elector, and its Lease.
func (l *Leader) candidate(elected func()) (*leaderelection.LeaderElector, *lock, error) {
	lease := &lock{
		LeaseLock: &resourcelock.LeaseLock{
			LeaseMeta:  metav1.ObjectMeta{Namespace: l.Namespace, Name: l.Lease},
			Client:     l.leases(),
			LockConfig: resourcelock.ResourceLockConfig{Identity: l.Identity},
		},
		hold: newHold(l.clock, l.RenewDeadline), limit: l.RenewDeadline, pause: l.RetryPeriod - l.look()/2,
	}
	elector, err := leaderelection.NewLeaderElector(leaderelection.LeaderElectionConfig{
		Name: l.Lease, Lock: lease,
		LeaseDuration: l.LeaseDuration, RenewDeadline: l.RenewDeadline, RetryPeriod: l.look(),
		Callbacks: leaderelection.LeaderCallbacks{
			OnStartedLeading: func(context.Context) { elected() },
			OnStoppedLeading: func() {},
		},
	})
	if err != nil {
		return nil, nil, fmt.Errorf("prepare the election of the replica that decides: %w", err)
	}
	return elector, lease, nil
}

// term calls do for as long as a hold lasts. done is set when do returned before
// the end. The hold ends with the election at the latest, and stop ends that.
func (l *Leader) term(ctx context.Context, h *hold, election <-chan struct{}, stop func(), do func(context.Context) error) (done bool, err error) {
	term, cancel := context.WithCancelCause(context.WithValue(ctx, holdKey{}, h))
	defer cancel(nil)
	defer h.end(errDone)
	l.current.Store(h)
	l.terms.Add(1)
	l.Log.Info().Msg("this replica leads")
	go h.expire(term)
	returned := make(chan error, 1)
	go func() { returned <- do(term) }()
	select {
	case err := <-returned:
		return true, err
	case <-ctx.Done():
		// What do still writes, it may write: the Lease is renewed meanwhile.
	case <-h.over:
		stop()
	case <-election:
		h.end(errExpired)
	}
	cancel(h.check())
	l.Log.Info().Err(h.check()).Msg("this replica does not lead any more")
	select {
	case err := <-returned:
		if err != nil && !errors.Is(err, context.Canceled) && !isOver(err) {
			l.Log.Warn().Err(err).Msg("the work of a term that is over has failed")
		}
		return false, nil
	case <-time.After(l.patience):
		return true, fmt.Errorf("the work of a term goes on %s after its end: the program has to be restarted", l.patience)
	}
}

// Leads says why this replica does not decide, nil if it does.
func (l *Leader) Leads() error {
	if h := l.current.Load(); h == nil || h.check() != nil {
		return errors.New("standing by: another replica decides")
	}
	return nil
}
