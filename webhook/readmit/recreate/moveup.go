package recreate

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/inventory"
	"heteroaccel.io/pkg/record"
	"heteroaccel.io/webhook/readmit/podapi"
	"heteroaccel.io/webhook/readmit/servers"
	"heteroaccel.io/webhook/replacement"
)

const (
	// disruptLimit is how long a PodDisruptionBudget may take to count a pod that became
	// Ready, and disruptPeriod how often it is asked.
	disruptLimit  = 5 * time.Second
	disruptPeriod = 250 * time.Millisecond
)

// refusedFirst is a rejection of the pod that was to serve before the server goes.
type refusedFirst struct{ podapi.Rejection }

func (r refusedFirst) Unwrap() error { return r.Rejection }

// MoveUp lets a server run on another kind. That of a Deployment moves without a moment in
// which it does not serve. Where no other pod can serve first, it is evicted, if mayEvict:
// its controller recreates it.
//
// e is expected of the pod in its place, whose kind is reserved under its id. The error is a
// podapi.Rejection where somebody has to do something about it.
func (r *Recreator) MoveUp(ctx context.Context, s *servers.Server, e *replacement.Expected, chosen inventory.Candidate, mayEvict bool) error {
	var err error
	if s.Deployment != "" {
		err = r.makeFirst(ctx, s, e, chosen)
		if !errors.As(err, new(refusedFirst)) {
			return err
		}
		if !mayEvict {
			return podapi.Rejection{Reason: fmt.Sprintf("%v. Annotated with %s=true it would be evicted instead, and not serve for a moment", err, accel.UpgradeAnnotation)}
		}
		if kind, ok := r.Inventory.Reserved(s.Namespace, e.Reservation); !ok || kind != chosen.Kind {
			return fmt.Errorf("%w: %s is not reserved any more", podapi.ErrChanged, chosen.Kind)
		}
	}
	there := replacement.OriginOf(s.Namespace, s.SetUID, s.Name)
	if err := r.evict(ctx, s, e, there, chosen); err != nil {
		r.revoke(s.Namespace, e, there)
		return err
	}
	return nil
}

// makeFirst lets a server run on another kind while it serves:
// its successor is created without the label pod-template-hash, so that no ReplicaSet
// counts it but every Service selects it; once that is Ready, and PodDisruptionBudgets let
// the server go, its ReplicaSet adopts it and, having one too many, deletes the server, by
// its deletion cost. Where anything fails before that, the successor is deleted and the
// server stays as it was.
// The error is a refusedFirst where there can be no successor.
func (r *Recreator) makeFirst(ctx context.Context, s *servers.Server, e *replacement.Expected, chosen inventory.Candidate) error {
	c, err := r.settledSet(ctx, s)
	if err != nil {
		return podapi.Changed(err)
	}
	old, err := r.serving(ctx, s)
	if err != nil {
		return err
	}
	if _, own := servers.CostOf(old.Annotations); own {
		return podapi.Rejection{Reason: "its annotation " + corev1.PodDeletionCost + " says which of its Deployment's pods is deleted first: remove it, and it can be moved"}
	}
	succession := replacement.Succession{SetName: s.SetName, SetUID: s.SetUID, Hash: c.hash, OldName: old.Name, OldUID: old.UID, Serving: true}
	pod := c.successor(succession, old, r.Keys())
	name := nameOf(pod)
	there := replacement.OriginOf(pod.Namespace, "", pod.Name)
	r.Expected.Add(there, e, time.Now())
	w := r.watch(name, s.Key())
	defer r.unwatch(w)
	if err := r.createSuccessor(ctx, pod, chosen.Kind); err != nil {
		if errors.As(err, new(refusedFirst)) { // what is reserved stays so, under the id that admission gave it
			r.Refusals.Canceled(s.Namespace, r.Expected.Revoke(there, e))
			return err
		}
		r.revoke(s.Namespace, e, there)
		return err
	}
	err = r.untilReady(ctx, s, w, name, chosen.Kind, c.minReady)
	if err == nil {
		err = r.untilDisruptable(ctx, old)
	}
	if err == nil {
		err = r.adopt(ctx, succession, name)
	}
	if err != nil {
		if ctx.Err() == nil { // else the next term finds it
			r.discardAndRestore(ctx, succession, name)
			r.revoke(s.Namespace, e, there)
		}
		return err
	}
	if !r.await(ctx, w, func() bool { return r.seen(w, s.Key()).gone }, scaleDownLimit) && ctx.Err() == nil {
		// Its ReplicaSet may have been scaled up just now.
		r.Pods.Log.Warn().Str("pod", s.Key().String()).Dur("waited", scaleDownLimit).Msg("move server: its ReplicaSet adopted the next pod and kept this one")
		r.restoreCost(ctx, succession, s.Namespace)
	}
	return nil
}

// serving reads a server that serves on its kind; podapi.ErrChanged where it does not.
func (r *Recreator) serving(ctx context.Context, s *servers.Server) (*corev1.Pod, error) {
	pod, err := r.Pods.Get(ctx, s.Key())
	if err != nil {
		return nil, podapi.Changed(err)
	}
	given, ours := record.Of(pod.Annotations, pod.Namespace, r.Keys())
	if !serves(pod, s.UID) || !isReady(pod) || !ours || given.Kind != s.Kind {
		return nil, podapi.ErrChanged
	}
	return pod, nil
}

// untilDisruptable waits until the pod's PodDisruptionBudgets let it go, now that its
// successor, which they select too, is Ready: their controller takes a moment to count that.
func (r *Recreator) untilDisruptable(ctx context.Context, old *corev1.Pod) error {
	limit := time.NewTimer(disruptLimit)
	defer limit.Stop()
	again := time.NewTicker(disruptPeriod)
	defer again.Stop()
	for {
		err := r.Pods.MayDisrupt(ctx, old)
		switch {
		case err == nil:
			return nil
		case apierrors.IsNotFound(err) || apierrors.IsConflict(err):
			return podapi.Changed(err)
		case !apierrors.IsTooManyRequests(err) && podapi.Definite(err):
			return podapi.Rejection{Reason: fmt.Sprintf("the API server does not say whether the pod may go: %v", err)}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-again.C:
		case <-limit.C:
			return podapi.Rejection{Reason: fmt.Sprintf("the pod may not go although the next one is Ready: %v", err)}
		}
	}
}

// settledSet reads the ReplicaSet of a server: podapi.ErrChanged where it is being scaled.
func (r *Recreator) settledSet(ctx context.Context, s *servers.Server) (*controller, error) {
	ctx, cancel := context.WithTimeout(ctx, podapi.CallLimit)
	defer cancel()
	o, err := r.Pods.AppsV1().ReplicaSets(s.Namespace).Get(ctx, s.SetName, metav1.GetOptions{})
	if err != nil {
		return nil, fmt.Errorf("get the pod's ReplicaSet: %w", err)
	}
	c := ofReplicaSet(o)
	switch {
	case c.uid != s.SetUID || o.DeletionTimestamp != nil:
		return nil, podapi.ErrChanged
	case c.hash == "":
		return nil, refusedFirst{podapi.Rejection{Reason: "its ReplicaSet belongs to no Deployment, and adopts no pod that it did not create"}}
	case o.Spec.Replicas == nil || *o.Spec.Replicas != o.Status.Replicas || o.Generation != o.Status.ObservedGeneration:
		return nil, fmt.Errorf("%w: its ReplicaSet is being scaled", podapi.ErrChanged)
	}
	return c, nil
}

// createSuccessor creates a pod that must be admitted with a kind. When the error is not
// nil there is no such pod.
func (r *Recreator) createSuccessor(ctx context.Context, pod *corev1.Pod, kind accel.Kind) error {
	name := nameOf(pod)
	created, err := r.Pods.Create(ctx, pod, false)
	switch {
	case apierrors.IsAlreadyExists(err): // that of an earlier try is not gone yet
		return fmt.Errorf("%w: another replica moves it", podapi.ErrChanged)
	case err != nil && podapi.Definite(err):
		return refusedFirst{podapi.Rejection{Reason: fmt.Sprintf("the pod that is to replace it is refused: %v", err)}}
	case err != nil: // it may be there all the same
		r.discard(ctx, name)
		return fmt.Errorf("create the next pod: %w", err)
	}
	if got := created.Annotations[accel.SelectedAnnotation]; got != string(kind) {
		r.discard(ctx, name)
		return fmt.Errorf("%w: admission gave the next one %q", podapi.ErrChanged, got)
	}
	return nil
}

// untilReady waits until a successor has been Ready for minReady, before which its
// Deployment does not count it as available, while the server before it runs.
func (r *Recreator) untilReady(ctx context.Context, s *servers.Server, w *watch, name types.NamespacedName, kind accel.Kind, minReady time.Duration) error {
	limit := r.ReadyLimit + minReady
	bind, ready := time.NewTimer(bindLimit), time.NewTimer(limit)
	defer bind.Stop()
	defer ready.Stop()
	var available <-chan time.Time // while it is Ready
	for {
		old, next := r.seen(w, s.Key()), r.seen(w, name)
		switch {
		case old.gone || old.uid != "" && old.uid != s.UID:
			return fmt.Errorf("%w: it was deleted while the next one was not Ready", podapi.ErrChanged)
		case next.gone:
			return fmt.Errorf("%w: somebody deleted the next one", podapi.ErrChanged)
		case !next.ready:
			available = nil
		case minReady <= 0:
			return nil
		case available == nil:
			available = time.After(minReady)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-w.news:
		case <-available: // whether it is Ready still is asked when it is adopted
			return nil
		case <-bind.C:
			if !r.seen(w, name).bound {
				return podapi.Rejection{Reason: fmt.Sprintf("kube-scheduler found no node with %s within %s: %s", kind, bindLimit, next.verdict)}
			}
		case <-ready.C:
			return podapi.Rejection{Reason: fmt.Sprintf("the pod that was to replace it there was not Ready within %s", limit)}
		}
	}
}
