package recreate

import (
	"context"
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"

	"heteroaccel.io/pkg/inventory"
	"heteroaccel.io/webhook/readmit/podapi"
	"heteroaccel.io/webhook/readmit/servers"
	"heteroaccel.io/webhook/refusals"
	"heteroaccel.io/webhook/replacement"
)

const (
	// prolongPeriod is how often a reservation is prolonged until the pod comes that it is
	// for: a StatefulSet creates none before the one of that name is gone.
	prolongPeriod = 5 * time.Second
	// replicasPeriod is how often a controller is asked whether its pods are available again.
	replicasPeriod = time.Second
)

// evict lets a server run on another kind where no successor can serve before it goes: it is
// evicted, as its PodDisruptionBudgets allow, and its controller recreates it with what is
// reserved for it. Whether the API server would admit that pod is asked before. It ends
// once the controller has all of its pods available again.
func (r *Recreator) evict(ctx context.Context, s *servers.Server, e *replacement.Expected, there replacement.Origin, chosen inventory.Candidate) error {
	if err := r.steady(ctx, s); err != nil {
		return podapi.Changed(err)
	}
	old, err := r.serving(ctx, s)
	if err != nil {
		return err
	}
	if len(old.Finalizers) > 0 {
		return podapi.Rejection{Reason: "it has finalizers, so that nobody knows when it is gone once it is evicted: remove them, or leave it where it is"}
	}
	owner := refusals.OwnerOf(s.Namespace, s.SetUID, s.Name, "")
	if err := r.dryRun(ctx, subject{controller: s.Controller(), origin: there, owner: owner, onDelete: true}, old, chosen.Kind); err != nil {
		return podapi.Changed(err)
	}
	reserved := e.Reservation // the pod that comes has one of its own
	r.Expected.Add(there, e, time.Now())
	if err := r.askToEvict(ctx, old); err != nil {
		return err
	}
	return r.untilReplaced(ctx, s, e, there, reserved)
}

// askToEvict evicts a pod that has not changed since. When the error is not nil, it was not
// evicted for certain, unless ctx ended.
func (r *Recreator) askToEvict(ctx context.Context, old *corev1.Pod) error {
	err := r.Pods.Evict(ctx, old)
	switch {
	case err == nil:
		return nil
	case apierrors.IsNotFound(err) || apierrors.IsConflict(err):
		return podapi.Changed(err)
	case apierrors.IsTooManyRequests(err):
		return podapi.Rejection{Reason: fmt.Sprintf("the pod may not be evicted now: %v", err)}
	case podapi.Definite(err):
		return podapi.Rejection{Reason: fmt.Sprintf("the API server refuses to evict the pod: %v", err)}
	}
	// Nobody answered: it may be on its way.
	evicted := false
	r.Pods.UntilDone(ctx, "see whether a pod was evicted", func(ctx context.Context) error {
		now, err := r.Pods.Get(ctx, nameOf(old))
		evicted = apierrors.IsNotFound(err) || err == nil && (now.UID != old.UID || now.DeletionTimestamp != nil)
		if apierrors.IsNotFound(err) {
			return nil
		}
		return err
	})
	if evicted {
		return nil
	}
	return fmt.Errorf("evict the pod: %w", err)
}

// untilReplaced waits until a controller has its pods available again, and holds what is
// reserved for the one to come until it does.
func (r *Recreator) untilReplaced(ctx context.Context, s *servers.Server, e *replacement.Expected, there replacement.Origin, reserved string) error {
	held := time.Now()
	limited, cancel := context.WithTimeout(ctx, r.ReadyLimit)
	defer cancel()
	err := wait.PollUntilContextCancel(limited, replicasPeriod, false, func(ctx context.Context) (bool, error) {
		if now := time.Now(); now.Sub(held) >= prolongPeriod {
			held = now
			r.Inventory.Prolong(s.Namespace, reserved)
			r.Expected.Prolong(there, e, now)
		}
		old, err := r.Pods.Get(ctx, s.Key())
		if err == nil && old.UID == s.UID || err != nil && !apierrors.IsNotFound(err) {
			return false, nil
		}
		return r.steady(ctx, s) == nil, nil
	})
	switch {
	case err == nil || ctx.Err() != nil:
		return ctx.Err()
	default:
		return podapi.Rejection{Reason: fmt.Sprintf("it was evicted, and the pod in its place was not Ready within %s", r.ReadyLimit)}
	}
}

// steady is nil where a controller has as many pods as it wants, and all of them available.
func (r *Recreator) steady(ctx context.Context, s *servers.Server) error {
	ctx, cancel := context.WithTimeout(ctx, podapi.CallLimit)
	defer cancel()
	var meta metav1.ObjectMeta
	var want *int32
	var have, available int32
	var observed int64
	get := metav1.GetOptions{}
	switch of := s.Controller(); of.Kind {
	case "StatefulSet":
		o, err := r.Pods.AppsV1().StatefulSets(s.Namespace).Get(ctx, of.Name, get)
		if err != nil {
			return fmt.Errorf("get the pod's StatefulSet: %w", err)
		}
		if o.Spec.UpdateStrategy.Type == appsv1.OnDeleteStatefulSetStrategyType && o.Status.CurrentRevision != o.Status.UpdateRevision {
			return podapi.Rejection{Reason: "its StatefulSet replaces pods by a newer version when somebody deletes them (OnDelete): delete it, and it gets an idle accelerator"}
		}
		meta, want, have, available, observed = o.ObjectMeta, o.Spec.Replicas, o.Status.Replicas, o.Status.AvailableReplicas, o.Status.ObservedGeneration
	case "ReplicationController":
		o, err := r.Pods.CoreV1().ReplicationControllers(s.Namespace).Get(ctx, of.Name, get)
		if err != nil {
			return fmt.Errorf("get the pod's ReplicationController: %w", err)
		}
		meta, want, have, available, observed = o.ObjectMeta, o.Spec.Replicas, o.Status.Replicas, o.Status.AvailableReplicas, o.Status.ObservedGeneration
	default:
		o, err := r.Pods.AppsV1().ReplicaSets(s.Namespace).Get(ctx, of.Name, get)
		if err != nil {
			return fmt.Errorf("get the pod's ReplicaSet: %w", err)
		}
		meta, want, have, available, observed = o.ObjectMeta, o.Spec.Replicas, o.Status.Replicas, o.Status.AvailableReplicas, o.Status.ObservedGeneration
	}
	if meta.UID != s.SetUID || meta.DeletionTimestamp != nil {
		return podapi.ErrChanged
	}
	if want == nil || *want != have || available < have || observed != meta.Generation {
		return fmt.Errorf("%w: its %s has %d of %d pods, %d of them available", podapi.ErrChanged, s.Controller().Kind, have, orOne(want), available)
	}
	return nil
}

func orOne(replicas *int32) int32 {
	if replicas == nil {
		return 1
	}
	return *replicas
}
