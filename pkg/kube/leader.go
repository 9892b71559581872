package kube

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
)

// Leader takes part in the election of the replica that decides.
type Leader struct {
	elector *leaderelection.LeaderElector
	// term is a context that ends when this replica no longer leads.
	term atomic.Pointer[context.Context]
}

// NewLeader prepares the election over a Lease.
func NewLeader(client kubernetes.Interface, namespace, lease string, f LeaderFlags) (*Leader, error) {
	l := &Leader{}
	elector, err := leaderelection.NewLeaderElector(leaderelection.LeaderElectionConfig{
		Name: lease,
		Lock: &resourcelock.LeaseLock{
			LeaseMeta:  metav1.ObjectMeta{Namespace: namespace, Name: lease},
			Client:     client.CoordinationV1(),
			LockConfig: resourcelock.ResourceLockConfig{Identity: f.Identity},
		},
		LeaseDuration:   f.LeaseDuration,
		RenewDeadline:   f.RenewDeadline,
		RetryPeriod:     f.RetryPeriod,
		ReleaseOnCancel: true,
		Callbacks: leaderelection.LeaderCallbacks{
			// It is called in a goroutine, perhaps after the term.
			OnStartedLeading: func(term context.Context) {
				if term.Err() == nil {
					l.term.Store(&term)
				}
			},
			OnStoppedLeading: func() {}, // the term's context has ended already
		},
	})
	if err != nil {
		return nil, fmt.Errorf("prepare the election of the replica that decides: %w", err)
	}
	l.elector = elector
	return l, nil
}

// Run takes part until ctx ends; a replica that loses the Lease stands by again.
func (l *Leader) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		l.elector.Run(ctx)
	}
	return nil
}

// Leads says why this replica does not decide, nil if it does.
func (l *Leader) Leads() error {
	if term := l.term.Load(); term == nil || (*term).Err() != nil {
		return errors.New("standing by: another replica decides")
	}
	return nil
}
