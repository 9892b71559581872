package claim

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/webhook/mutate"
	"heteroaccel.io/webhook/readmit/pending"
	"heteroaccel.io/webhook/readmit/podapi"
)

// Move moves a pending pod to another kind, for a reason. Nothing is deleted before the
// API server, asked by dry runs, would accept all that follows. The error is
// podapi.ErrChanged where the pod got a device meanwhile, and a podapi.Rejection where
// it is to be left alone. From where the pod has changed it is nil: what is left to be
// done is done until it is.
func (c *Claimer) Move(ctx context.Context, p *pending.Pod, to accel.Kind, reason string, now time.Time) error {
	if !c.begin(p.Key()) {
		return fmt.Errorf("%w: its claim is being created", podapi.ErrChanged)
	}
	defer func() {
		c.end(p.Key())
		c.queue.Add(p.Key()) // if it has no claim now, it gets one again
	}()
	const tries = 3
	var err error
	for range tries {
		if err = c.move(ctx, p, to, reason, now); !apierrors.IsConflict(err) {
			break // else it only changed, by the scheduler for instance
		}
	}
	return podapi.Changed(err)
}

func (c *Claimer) move(ctx context.Context, p *pending.Pod, to accel.Kind, reason string, now time.Time) error {
	pod, a, err := c.amend(ctx, p, to, mutate.Decision{
		Kind: to, Reason: reason, Readmissions: p.Recreations + 1, Moved: now.UTC(), FirstAdmitted: p.FirstAdmitted, Displaced: p.DisplacedOn(to),
	})
	if err != nil {
		return err
	}
	api := c.claims(p)
	live, err := api.get(ctx, p.Claim)
	switch {
	case apierrors.IsNotFound(err):
		live = nil // it was denied so far
	case err != nil:
		return err
	case stateOf(live).pod != p.UID:
		return podapi.Rejection{Reason: foreign{p.Claim}.Error()}
	case stateOf(live).allocated:
		return podapi.ErrChanged
	}
	next := of(p, to, a.class)
	if err := c.answer(p, to, c.ask(ctx, pod, a, live, next)); err != nil {
		return err
	}
	if live != nil {
		c.contest(p.Key(), time.Now())
		if err := api.remove(ctx, live); err != nil && !apierrors.IsNotFound(err) {
			return c.answer(p, to, err)
		}
	}
	moved, err := c.rewrite(ctx, pod, a, nil)
	if err != nil {
		return c.answer(p, to, err)
	}
	if a.Resources != nil {
		err = c.resize(ctx, moved, a.container, a.init, a.Resources, nil)
	}
	if err == nil || refused(err) {
		err = api.create(ctx, next, nil)
	}
	if err != nil { // it is called for again
		c.Pods.Log.Info().Err(err).Str("pod", p.Key().String()).Msg("move pod: it has changed, and its claim follows")
	}
	return nil
}

// ask has the API server try all of a move by dry runs. A claim that is there still, live,
// is in the way of the next one's name and counts in quotas; what else admits a claim has
// done so before either is noticed.
func (c *Claimer) ask(ctx context.Context, pod *corev1.Pod, a *amendment, live, next *resourcev1.ResourceClaim) error {
	if _, err := c.rewrite(ctx, pod, a, dryRun); err != nil {
		return err
	}
	if a.Resources != nil {
		if err := c.resize(ctx, pod, a.container, a.init, a.Resources, dryRun); err != nil {
			return err
		}
	}
	err := claimAPI{c.Pods, pod.Namespace}.create(ctx, next, dryRun)
	if apierrors.IsAlreadyExists(err) || live != nil && onlyUntilGone(err, live) {
		return nil
	}
	return err
}

// answer reads what the API server answers to a move: a refusal is remembered, so that
// the next kind is tried.
func (c *Claimer) answer(p *pending.Pod, to accel.Kind, err error) error {
	if err == nil || !refused(err) {
		return err
	}
	c.Refusals.Denied(p.RefusalOwner(), to, err.Error())
	c.Wake()
	return podapi.Rejection{Reason: fmt.Sprintf("with %s the API server would refuse it: %v", to, err)}
}

// amendment is what a pod is to be changed to.
type amendment struct {
	mutate.Amend
	container string
	init      bool
	class     string
}

// amend reads a pod, and returns what makes it one of a kind, as decided.
func (c *Claimer) amend(ctx context.Context, p *pending.Pod, kind accel.Kind, d mutate.Decision) (*corev1.Pod, *amendment, error) {
	pod, err := c.current(ctx, p)
	if err != nil {
		return nil, nil, err
	}
	live := pending.AsMutated(pod)
	undone, _ := mutate.Undo(live, c.Keys(), pod.Namespace)
	req, _, err := accel.ParseRequest(undone.Metadata.Annotations)
	if err != nil {
		return nil, nil, podapi.ErrChanged
	}
	in, _, err := c.Options.OfBound(p.Namespace, undone, req, true)
	if err != nil {
		return nil, nil, podapi.Rejection{Reason: err.Error()}
	}
	if in.Variant = in.VariantOf(kind); in.Variant == nil {
		return nil, nil, podapi.Rejection{Reason: fmt.Sprintf("inference %s has no variant for %s any more", in.Profile.Name, kind)}
	}
	// The key of the record seals it again, whichever key seals by now.
	in.Keys, in.Namespace = c.Keys().As(pod.Annotations[accel.OriginalAnnotation], pod.Namespace, p.Reservation), p.Namespace
	in.Decision = d
	in.Decision.Reservation = p.Reservation
	change, err := mutate.Swap(live, undone, in)
	if err != nil {
		return nil, nil, podapi.Rejection{Reason: err.Error()}
	}
	return pod, &amendment{Amend: change, container: undone.Recorded, init: in.Target.Init, class: in.Variant.Class}, nil
}
