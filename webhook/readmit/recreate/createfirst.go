package recreate

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/inventory"
	"heteroaccel.io/webhook/readmit/pending"
	"heteroaccel.io/webhook/readmit/podapi"
	"heteroaccel.io/webhook/replacement"
)

const (
	// bindLimit is how long the scheduler has for a pod that was created first.
	bindLimit = 10 * time.Second
	// scaleDownLimit is how long a ReplicaSet is expected to take to delete the
	// pod that it has too many.
	scaleDownLimit = 10 * time.Second
)

// errDeleteFirst says that the pod must be deleted before the next is created.
var errDeleteFirst = errors.New("the next pod cannot be created before this one is deleted")

// NotAdopted is the error when somebody refuses the change by which a ReplicaSet
// adopts a pod: the pod before it is better deleted first, from now on.
type NotAdopted struct{ error }

func (e NotAdopted) Unwrap() error { return e.error }

// createFirst recreates a pod of a Deployment the other way round. The next pod
// is created without the label pod-template-hash, so that no ReplicaSet counts
// it; once it is bound it is given that label, and its ReplicaSet, which has one
// too many, deletes the pod that waits, as pods without a node are deleted first.
// A refused create costs nothing.
//
// It needs quota for both, an idle device, the right to create pods, and nobody
// who refuses the pod; else the error is errDeleteFirst, and nothing has been
// done.
func (r *Recreator) createFirst(ctx context.Context, p *pending.Pod, e *replacement.Expected, chosen inventory.Candidate) error {
	if !r.DryRun || p.Owner != pending.OwnerController || p.Hash == "" || chosen.Idle() == 0 {
		return errDeleteFirst
	}
	c, err := r.controllerOf(ctx, p.Namespace, *p.Controller)
	if podapi.Unauthorized(err) || err == nil && c.hash != p.Hash {
		return errDeleteFirst
	}
	if err != nil {
		return podapi.Changed(err)
	}
	old, err := r.current(ctx, p)
	if err != nil {
		return podapi.Changed(err)
	}
	if cost := old.Annotations[corev1.PodDeletionCost]; old.GenerateName == "" || cost != "" && cost != deletedFirst {
		return errDeleteFirst // somebody else sets which pod is deleted first
	}
	s := replacement.Succession{SetName: p.Controller.Name, SetUID: p.Controller.UID, Hash: p.Hash, OldName: old.Name, OldUID: old.UID}
	pod := c.successor(s, old, r.Keys())
	name := nameOf(pod)
	there := replacement.OriginOf(pod.Namespace, "", pod.Name)
	if !r.Expected.Move(e, p.Origin(), there, time.Now()) {
		return podapi.ErrChanged // its ReplicaSet has created one meanwhile
	}
	w := r.watch(name, p.Key())
	defer r.unwatch(w)
	created, err := r.Pods.Create(ctx, pod, false)
	if apierrors.IsAlreadyExists(err) { // or the one of an earlier try is not gone yet
		r.revoke(p.Namespace, e, there)
		err = fmt.Errorf("%w: another replica recreates it", podapi.ErrChanged)
		if other, got := r.Pods.Get(ctx, name); got == nil && !r.isOrphan(other) {
			return NotAdopted{err} // its name stays taken: this pod is deleted first
		}
		return err
	}
	if err != nil {
		return r.notCreated(ctx, p, e, there, chosen.Kind, name, err)
	}
	if got := created.Annotations[accel.SelectedAnnotation]; got != string(chosen.Kind) {
		r.discard(ctx, name)
		r.revoke(p.Namespace, e, there)
		return fmt.Errorf("%w: admission gave the next one %q", podapi.ErrChanged, got)
	}
	if err := r.untilBound(ctx, p, w, name, created.UID, chosen); err != nil {
		if ctx.Err() == nil { // else the next term finds it
			r.discard(ctx, name)
			r.revoke(p.Namespace, e, there)
			r.acceptVerdict(ctx, p, w, name, chosen, err)
		}
		return err
	}
	if err := r.adopt(ctx, s, name); err != nil {
		if ctx.Err() == nil {
			r.discardAndRestore(ctx, s, name)
			r.revoke(p.Namespace, e, there)
			if !errors.Is(err, podapi.ErrChanged) {
				err = NotAdopted{err}
			}
		}
		return err
	}
	if !r.await(ctx, w, func() bool { return r.seen(w, p.Key()).gone }, scaleDownLimit) && ctx.Err() == nil {
		// Its ReplicaSet may have been scaled up just now.
		r.Pods.Log.Warn().Str("pod", p.Key().String()).Dur("waited", scaleDownLimit).Msg("recreate pod: its ReplicaSet adopted the next pod and kept this one")
		r.restoreCost(ctx, s, name.Namespace)
	}
	return nil
}

// notCreated decides what follows when the create of a successor failed. There
// may be no quota for both, or no right, or a policy against pods without an
// owner: a dry run tells whether the pod that its ReplicaSet creates would be
// admitted, before this one is deleted.
func (r *Recreator) notCreated(ctx context.Context, p *pending.Pod, e *replacement.Expected, there replacement.Origin, to accel.Kind, name types.NamespacedName, err error) error {
	if !podapi.Definite(err) { // it may be there all the same
		r.discard(ctx, name)
		r.revoke(p.Namespace, e, there)
		return fmt.Errorf("create the next pod: %w", err)
	}
	// What is reserved stays reserved, under the id that admission gave it.
	reservation := r.Expected.Return(e, there, p.Origin(), time.Now())
	r.Refusals.Canceled(p.Namespace, reservation)
	if kind, ok := r.Inventory.Reserved(p.Namespace, reservation); !ok || kind != to {
		return fmt.Errorf("%w: %s is not reserved any more", podapi.ErrChanged, to)
	}
	return errDeleteFirst
}

// untilBound waits until a successor is bound while the pod before it is pending.
func (r *Recreator) untilBound(ctx context.Context, p *pending.Pod, w *watch, name types.NamespacedName, uid types.UID, chosen inventory.Candidate) error {
	limit := time.NewTimer(bindLimit)
	defer limit.Stop()
	look := time.NewTicker(podapi.RequeuePause)
	defer look.Stop()
	for {
		old, next := r.seen(w, p.Key()), r.seen(w, name)
		switch {
		case old.gone || old.bound || old.uid != "" && old.uid != p.UID:
			return fmt.Errorf("%w: it was bound or deleted while the next one was pending", podapi.ErrChanged)
		case next.gone:
			return fmt.Errorf("%w: somebody deleted the next one", podapi.ErrChanged)
		case next.bound:
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-w.news:
		case <-look.C: // as for any pending pod: the extender may know telemetry later
			if err := r.Pods.Requeue(ctx, name, uid, time.Now()); err != nil {
				r.Pods.Log.Info().Err(err).Str("pod", name.String()).Msg("requeue pod: not annotated")
			}
		case <-limit.C:
			return podapi.Rejection{Reason: fmt.Sprintf("the scheduler found no node with %s within %s: %s", chosen.Kind, bindLimit, next.verdict)}
		}
	}
}

// acceptVerdict accepts the scheduler's verdict that a kind which counts as idle
// has no node for the pods of p's template, once the pod that showed it is gone:
// what that took would count as more of the kind.
func (r *Recreator) acceptVerdict(ctx context.Context, p *pending.Pod, w *watch, name types.NamespacedName, chosen inventory.Candidate, err error) {
	verdict := r.seen(w, name).verdict
	if !podapi.Rejected(err) || verdict == "" {
		return
	}
	r.await(ctx, w, func() bool { return r.seen(w, name).gone }, scaleDownLimit)
	r.Refusals.Unschedulable(p.Template.RefusalGroup, &chosen, verdict)
	r.Verdicts.Inc()
}

// await waits for news until there is what is waited for.
func (r *Recreator) await(ctx context.Context, w *watch, there func() bool, limit time.Duration) bool {
	over := time.NewTimer(limit)
	defer over.Stop()
	for !there() {
		select {
		case <-ctx.Done():
			return false
		case <-over.C:
			return false
		case <-w.news:
		}
	}
	return true
}

// revoke ends the expectation of a pod that is not created, and releases what was
// reserved.
func (r *Recreator) revoke(namespace string, e *replacement.Expected, o replacement.Origin) {
	reservation := r.Expected.Revoke(o, e)
	r.Refusals.Canceled(namespace, reservation)
	r.Inventory.Release(namespace, reservation)
}
