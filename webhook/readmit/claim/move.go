package claim

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/webhook/mutate"
	"heteroaccel.io/webhook/readmit/pending"
	"heteroaccel.io/webhook/readmit/podapi"
	"heteroaccel.io/webhook/replacement"
)

// Move moves a pending pod to another kind, for a reason. Nothing is deleted before the
// API server, asked by dry runs, would accept all that follows. The error is
// podapi.ErrChanged where the pod got a device meanwhile, and a podapi.Rejection where
// it is to be left alone.
func (c *Claimer) Move(ctx context.Context, p *pending.Pod, to accel.Kind, reason string, now time.Time) error {
	if !c.begin(p.UID) {
		return fmt.Errorf("%w: its claim is being created", podapi.ErrChanged)
	}
	defer func() {
		c.end(p.UID)
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
	pod, a, err := c.amend(ctx, p, to, &mutate.Decision{Kind: to, Reason: reason, Readmissions: p.Recreations + 1, Moved: now.UTC()})
	if err != nil {
		return err
	}
	api := c.claims(p)
	next := of(p, to, a.class)
	if err := c.answer(p, to, c.apply(ctx, pod, a, true)); err != nil {
		return err
	}
	if err := api.create(ctx, next, true); !apierrors.IsAlreadyExists(err) {
		if err := c.answer(p, to, err); err != nil {
			return err
		}
	}
	live, err := api.get(ctx, p.Claim)
	switch {
	case apierrors.IsNotFound(err): // it was refused so far
	case err != nil:
		return err
	case stateOf(live).pod != p.UID:
		return podapi.Rejection{Reason: foreign{p.Claim}.Error()}
	case stateOf(live).allocated:
		return podapi.ErrChanged
	default:
		if err := api.remove(ctx, live); err != nil && !apierrors.IsNotFound(err) {
			return podapi.Changed(err)
		}
	}
	if err := c.apply(ctx, pod, a, false); err != nil {
		return err
	}
	if err := api.create(ctx, next, false); err != nil && !apierrors.IsAlreadyExists(err) {
		return err
	}
	return nil
}

// answer reads the API server's answer to a dry run of a move.
func (c *Claimer) answer(p *pending.Pod, to accel.Kind, err error) error {
	if err == nil || apierrors.IsConflict(err) || apierrors.IsNotFound(err) || !podapi.Definite(err) {
		return err
	}
	c.denied(p, to, err)
	return podapi.Rejection{Reason: fmt.Sprintf("with %s the API server would refuse it: %v", to, err)}
}

// amendment is what a pod is to be changed to.
type amendment struct {
	mutate.Amend
	container string
	init      bool
	class     string
}

// amend reads a pod, and returns what makes it one of a kind: for a decision, or with
// none of those for the one that its record has.
func (c *Claimer) amend(ctx context.Context, p *pending.Pod, kind accel.Kind, d *mutate.Decision) (*corev1.Pod, amendment, error) {
	pod, err := c.Pods.Get(ctx, p.Key())
	if err != nil {
		return nil, amendment{}, podapi.Changed(err)
	}
	now, ok := pending.Of(pod, c.Keys())
	if !ok || now.UID != p.UID || now.Template.Key != p.Template.Key || now.Reservation != p.Reservation || now.Claim != p.Claim {
		return nil, amendment{}, podapi.ErrChanged
	}
	live := pending.AsMutated(pod)
	undone, _ := mutate.Undo(live, c.Keys(), pod.Namespace)
	req, _, err := accel.ParseRequest(undone.Metadata.Annotations)
	if err != nil {
		return nil, amendment{}, podapi.ErrChanged
	}
	in, _, err := c.Options.OfBound(p.Namespace, undone, req, true)
	if err != nil {
		return nil, amendment{}, podapi.Rejection{Reason: err.Error()}
	}
	if in.Variant = in.VariantOf(kind); in.Variant == nil {
		return nil, amendment{}, podapi.Rejection{Reason: fmt.Sprintf("inference %s has no variant for %s any more", in.Profile.Name, kind)}
	}
	// The key of the record seals it again, whichever key seals by now.
	in.Keys, in.Namespace = c.Keys().As(pod.Annotations[accel.OriginalAnnotation], pod.Namespace, p.Reservation), p.Namespace
	if d == nil {
		d = &mutate.Decision{Kind: kind, Reason: pod.Annotations[accel.ReasonAnnotation], Readmissions: replacement.Count(pod.Annotations), Moved: p.Moved}
	}
	in.Decision = *d
	in.Decision.Reservation = p.Reservation
	change, err := mutate.Swap(live, undone, in)
	if err != nil {
		return nil, amendment{}, podapi.Rejection{Reason: err.Error()}
	}
	return pod, amendment{Amend: change, container: undone.Recorded, init: in.Target.Init, class: in.Variant.Class}, nil
}

// apply changes a pod as it was looked at; dryRun asks whether the API server would.
func (c *Claimer) apply(ctx context.Context, pod *corev1.Pod, a amendment, dryRun bool) error {
	var options metav1.PatchOptions
	if dryRun {
		options.DryRun = []string{metav1.DryRunAll}
	}
	if a.Image != "" || a.Annotations != nil {
		metadata := map[string]any{"uid": pod.UID, "resourceVersion": pod.ResourceVersion, "annotations": a.Annotations}
		patch := map[string]any{"metadata": metadata}
		if a.Image != "" {
			patch["spec"] = a.spec(map[string]any{"image": a.Image})
		}
		if err := c.patch(ctx, pod, patch, options); err != nil {
			return err
		}
	}
	if a.Resources != nil {
		patch := map[string]any{"metadata": map[string]any{"uid": pod.UID}, "spec": a.spec(map[string]any{"resources": a.Resources})}
		if err := c.patch(ctx, pod, patch, options, "resize"); err != nil {
			return fmt.Errorf("resize the pod: %w", err)
		}
	}
	return nil
}

// spec is a patch of the container.
func (a *amendment) spec(of map[string]any) map[string]any {
	of["name"] = a.container
	list := "containers"
	if a.init {
		list = "initContainers"
	}
	return map[string]any{list: []any{of}}
}

func (c *Claimer) patch(ctx context.Context, pod *corev1.Pod, patch map[string]any, options metav1.PatchOptions, subresource ...string) error {
	encoded, err := json.Marshal(patch)
	if err != nil {
		return fmt.Errorf("encode the change of a pod: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, podapi.CallLimit)
	defer cancel()
	_, err = c.Pods.CoreV1().Pods(pod.Namespace).Patch(ctx, pod.Name, types.StrategicMergePatchType, encoded, options, subresource...)
	return err
}
