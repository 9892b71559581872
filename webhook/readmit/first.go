package readmit

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/inventory"
	"heteroaccel.io/webhook/replacement"
)

const (
	// bindLimit is how long the scheduler has for a pod that was created first.
	bindLimit = 10 * time.Second
	// leaveLimit is how long a ReplicaSet is expected to take to delete what it
	// has too many.
	leaveLimit = 10 * time.Second
)

// errGiveUpFirst says that the pod must go before another can come.
var errGiveUpFirst = errors.New("the next pod cannot be created before this one is gone")

// createFirst has a pod of a Deployment recreated the other way round. The next
// pod is created without the label pod-template-hash, so that no ReplicaSet
// counts it; once it is bound it is given that label, and its ReplicaSet, which
// has one too many, deletes the pod that waits: one without a node goes first. A
// refused create costs nothing at all.
//
// It needs quota for both, a device that is idle, the right to create pods, and
// nobody who refuses it; else the error is errGiveUpFirst, and nothing has been
// done.
func (r *Readmitter) createFirst(ctx context.Context, w *waiter, k *replacement.Expected, chosen inventory.Candidate) error {
	if !r.DryRun || w.owner != ownerController || w.hash == "" || chosen.Idle() == 0 || r.plain(w) {
		return errGiveUpFirst
	}
	c, err := r.controllerOf(ctx, w)
	if unauthorized(err) || err == nil && c.hash != w.hash {
		return errGiveUpFirst
	}
	if err != nil {
		return lost(err)
	}
	old, err := r.current(ctx, w)
	if err != nil {
		return lost(err)
	}
	if cost := old.Annotations[corev1.PodDeletionCost]; old.GenerateName == "" || cost != "" && cost != goesFirst {
		return errGiveUpFirst // somebody else says who goes first
	}
	pod := c.successor(w, old, r.Key)
	name := types.NamespacedName{Namespace: pod.Namespace, Name: pod.Name}
	there := replacement.OriginOf(pod.Namespace, "", pod.Name)
	if !r.expected.Move(k, w.origin(), there, time.Now()) {
		return errLost // its ReplicaSet has created one meanwhile
	}
	f := r.follow(name, w.key())
	defer r.unfollow(f)
	call, cancel := context.WithTimeout(ctx, callLimit)
	created, err := r.Client.CoreV1().Pods(pod.Namespace).Create(call, pod, metav1.CreateOptions{})
	cancel()
	if err != nil {
		return r.notCreated(ctx, w, k, there, chosen.Kind, name, err)
	}
	if got := created.Annotations[accel.SelectedAnnotation]; got != string(chosen.Kind) {
		r.discard(ctx, name)
		r.recall(w.namespace, k, there)
		return fmt.Errorf("%w: the next one would have had %q by now", errLost, got)
	}
	if err := r.untilBound(ctx, w, f, name, created.UID, chosen); err != nil {
		if ctx.Err() == nil { // else it is found by the next term
			r.discard(ctx, name)
			r.recall(w.namespace, k, there)
			r.disbelieve(ctx, w, f, name, chosen, err)
		}
		return err
	}
	s, _ := replacement.SuccessionOf(pod.Annotations, r.Key, pod.Namespace, pod.Name)
	if err := r.adopt(ctx, s, name); err != nil {
		if ctx.Err() == nil {
			r.dismiss(ctx, s, name)
			r.recall(w.namespace, k, there)
			r.setPlain(w, err)
		}
		return err
	}
	if !r.await(ctx, f, func() bool { return r.seen(f, w.key()).gone }, leaveLimit) && ctx.Err() == nil {
		// Its ReplicaSet may have been scaled up just now.
		r.Log.Warn().Str("pod", w.key().String()).Dur("waited", leaveLimit).Msg("its ReplicaSet has adopted the next pod and kept this one")
		r.relieve(ctx, s, name.Namespace)
	}
	return nil
}

// notCreated decides what follows from an answer to the create of a successor
// other than yes. There may be no quota for both, or no right, or somebody may
// be against pods that have no owner: whether the pod that its ReplicaSet
// creates would be let in is asked before this one is given up.
func (r *Readmitter) notCreated(ctx context.Context, w *waiter, k *replacement.Expected, there replacement.Origin, to accel.Kind, name types.NamespacedName, err error) error {
	if !definite(err) { // it may be there all the same
		r.discard(ctx, name)
		r.recall(w.namespace, k, there)
		return fmt.Errorf("create the next pod: %w", err)
	}
	// What is held goes on being held, under the reservation that admission
	// made of it.
	hold := r.expected.Return(k, there, w.origin(), time.Now())
	r.Refusals.Canceled(w.namespace, hold)
	if kind, ok := r.Inventory.Reserved(w.namespace, hold); !ok || kind != to {
		return fmt.Errorf("%w: %s is held no more", errLost, to)
	}
	return errGiveUpFirst
}

// untilBound waits until a successor is bound while the pod before it waits.
func (r *Readmitter) untilBound(ctx context.Context, w *waiter, f *follow, name types.NamespacedName, uid types.UID, chosen inventory.Candidate) error {
	limit := time.NewTimer(bindLimit)
	defer limit.Stop()
	look := time.NewTicker(retryPause)
	defer look.Stop()
	for {
		old, next := r.seen(f, w.key()), r.seen(f, name)
		switch {
		case old.gone || old.bound || old.uid != "" && old.uid != w.uid:
			return fmt.Errorf("%w: it was bound or deleted while the next one waited for a node", errLost)
		case next.gone:
			return fmt.Errorf("%w: somebody deleted the next one", errLost)
		case next.bound:
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-f.news:
		case <-look.C: // as for a pod that waits: the extender may know a sample later
			if err := r.touch(ctx, &waiter{namespace: name.Namespace, name: name.Name, uid: uid}, time.Now()); err != nil {
				r.Log.Info().Err(err).Str("pod", name.String()).Msg("the scheduler could not be made to look at the pod again")
			}
		case <-limit.C:
			return refusal{fmt.Sprintf("the scheduler found no node with %s within %s: %s", chosen.Kind, bindLimit, next.words)}
		}
	}
}

// disbelieve takes the scheduler's word that a kind which counts as idle is not
// usable for the pods of w's class, once the pod that showed it is gone: what
// that held would count as more of the kind.
func (r *Readmitter) disbelieve(ctx context.Context, w *waiter, f *follow, name types.NamespacedName, chosen inventory.Candidate, err error) {
	words := r.seen(f, name).words
	if !refused(err) || words == "" {
		return
	}
	r.await(ctx, f, func() bool { return r.seen(f, name).gone }, leaveLimit)
	r.Refusals.Unschedulable(w.class.shared, &chosen, words)
	r.metrics.verdicts.Inc()
}

// await waits for news until there is what is waited for.
func (r *Readmitter) await(ctx context.Context, f *follow, there func() bool, limit time.Duration) bool {
	over := time.NewTimer(limit)
	defer over.Stop()
	for !there() {
		select {
		case <-ctx.Done():
			return false
		case <-over.C:
			return false
		case <-f.news:
		}
	}
	return true
}

// recall takes back the ticket of a pod that does not come, and what was held.
func (r *Readmitter) recall(namespace string, k *replacement.Expected, p replacement.Origin) {
	hold := r.expected.Revoke(p, k)
	r.Refusals.Canceled(namespace, hold)
	r.Inventory.Release(namespace, hold)
}

// plain reports whether a pod is to be given up first.
func (r *Readmitter) plain(w *waiter) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.state(w.uid).plain
}

// setPlain notes that a pod cannot be adopted: somebody is against the change.
func (r *Readmitter) setPlain(w *waiter, err error) {
	if errors.Is(err, errLost) {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.state(w.uid).plain = true
}
