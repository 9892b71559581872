package claim

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/webhook/mutate"
	"heteroaccel.io/webhook/readmit/pending"
	"heteroaccel.io/webhook/readmit/podapi"
)

// quotaLag is how long quotas may still count a claim that was deleted.
const quotaLag = 15 * time.Second

// errCounted says that a claim which was deleted is there, or counts, for a moment longer.
var errCounted = errors.New("the claim before it is still there")

// ensure creates the claim that a pod lacks.
func (c *Claimer) ensure(ctx context.Context, p *pending.Pod) error {
	deleted, contested := c.isContested(p.Key())
	if contested || !p.Moved.IsZero() {
		if err := c.settle(ctx, p); errors.Is(err, podapi.ErrChanged) {
			c.queue.AddAfter(p.Key(), maxRetry) // the feed shows it sooner
			return nil
		} else if err != nil {
			return err
		}
	}
	return c.create(ctx, p, deleted)
}

// settle makes a pod, as it is now, what it is by its record, and changes it in any case:
// whoever is about to move it for all that, as a replica that has not noticed that it
// leads no more, has looked at another resourceVersion and is refused.
func (c *Claimer) settle(ctx context.Context, p *pending.Pod) error {
	pod, err := c.current(ctx, p)
	if err != nil {
		return err
	}
	if container, owed := mutate.Owed(pending.AsMutated(pod), c.Keys(), pod.Namespace); owed != nil {
		init := slices.ContainsFunc(pod.Spec.InitContainers, func(i corev1.Container) bool { return i.Name == container })
		switch err := c.resize(ctx, pod, container, init, owed, nil); {
		case err == nil:
			return nil
		case !refused(err):
			return err
		default: // it runs with what it has
			c.Pods.Log.Warn().Err(err).Str("pod", p.Key().String()).Msg("give a moved pod its amounts: refused")
		}
	}
	// Where a policy refuses that, it refuses whoever would move it, too.
	if err := c.Pods.PatchMetadata(ctx, pod, map[string]any{"annotations": map[string]any{accel.RetryAnnotation: time.Now().UTC().Format(time.RFC3339Nano)}}); !refused(err) {
		return err
	}
	return nil
}

// current is a pod as it is now; the error is podapi.ErrChanged where that is not p.
func (c *Claimer) current(ctx context.Context, p *pending.Pod) (*corev1.Pod, error) {
	pod, err := c.Pods.Get(ctx, p.Key())
	if err != nil {
		return nil, podapi.Changed(err)
	}
	now, ok := pending.Of(pod, c.Keys())
	if !ok || now.UID != p.UID || now.Template.Key != p.Template.Key || now.Reservation != p.Reservation || now.Claim != p.Claim {
		return nil, podapi.ErrChanged
	}
	return pod, nil
}

// refused reports whether the API server has answered that it does not do a thing,
// and would not if it were asked again about what is there.
func refused(err error) bool {
	return podapi.Definite(err) && !apierrors.IsConflict(err) && !apierrors.IsNotFound(err)
}

// create creates the claim of a pod. deleted is when we deleted the one before it, zero if
// we did not.
func (c *Claimer) create(ctx context.Context, p *pending.Pod, deleted time.Time) error {
	next := of(p, p.Template.Kind, p.Class)
	err := c.claims(p).create(ctx, next, nil)
	switch {
	case err == nil:
		c.Created.WithLabelValues("done").Inc()
		c.denials.forget(p.Key())
		c.pauses.end(p.Key())
		return nil
	case apierrors.IsAlreadyExists(err):
		return c.replace(ctx, p)
	case apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause), apierrors.IsNotFound(err):
		return nil // the pod goes with its namespace
	case time.Since(deleted) < quotaLag && onlyUntilGone(err, next):
		return errCounted
	case podapi.Definite(err):
		c.Created.WithLabelValues("refused").Inc()
		c.deny(p, p.Template.Kind, err)
		return nil
	}
	c.Created.WithLabelValues("failed").Inc()
	return err
}

// replace deals with a claim of the name that is there already.
func (c *Claimer) replace(ctx context.Context, p *pending.Pod) error {
	api := c.claims(p)
	live, err := api.get(ctx, p.Claim)
	if err != nil {
		return err
	}
	st := stateOf(live)
	switch {
	case st.pod != p.UID:
		c.deny(p, "", foreign{p.Claim})
		return nil
	case st.request == requestName(p.Template.Kind) && live.DeletionTimestamp == nil:
		return nil // our own create had lost its answer, or the watch is behind
	case st.allocated:
		return c.follow(ctx, p, live)
	case live.DeletionTimestamp != nil:
		return errCounted
	}
	if err := api.remove(ctx, live); err != nil {
		return err
	}
	c.contest(p.Key(), time.Now())
	return errCounted // kube-scheduler may have marked it as its own meanwhile
}

// follow makes a pod one of the kind that its claim has a device of already: the claim is
// never deleted then.
func (c *Claimer) follow(ctx context.Context, p *pending.Pod, live *resourcev1.ResourceClaim) error {
	profile, ok := c.Options.Profiles.Get(p.Template.Request.Inference)
	if !ok {
		return nil
	}
	request := stateOf(live).request
	for _, kind := range profile.Kinds() {
		if requestName(kind) != request || kind == p.Template.Kind {
			continue
		}
		pod, a, err := c.amend(ctx, p, kind, mutate.Decision{
			Kind: kind, Reason: fmt.Sprintf("its claim got a device while it was moved to %s", p.Template.Kind), Readmissions: p.Recreations, Moved: p.Moved,
			FirstAdmitted: p.FirstAdmitted, Displaced: p.DisplacedOn(kind),
		})
		if err == nil {
			if pod, err = c.rewrite(ctx, pod, a, nil); err == nil && a.Resources != nil {
				err = c.resize(ctx, pod, a.container, a.init, a.Resources, nil)
			}
		}
		if errors.Is(err, podapi.ErrChanged) {
			return nil
		}
		return err
	}
	return nil
}

// deny notes that the API server denies the claim of a pod for a kind, or with "" that it
// is somebody else's, tells its owner what is new of that, and asks again later.
func (c *Claimer) deny(p *pending.Pod, kind accel.Kind, err error) {
	again, tell := c.denials.add(p, kind, err.Error())
	c.tryAgain(p, again)
	if kind != "" {
		c.Refusals.Denied(p.RefusalOwner(), kind, err.Error())
		err = fmt.Errorf("the API server denies its ResourceClaim for %s, and the pod waits; change the quota or policy that is named here, and the claim is created: %w", kind, err)
	}
	if tell > 0 {
		// Events of one pod that differ in their words alone become one, with those of the
		// first (client-go, tools/events, getKey).
		action := "Claim"
		if tell > 1 {
			action = fmt.Sprintf("Claim%d", tell)
		}
		pod := &corev1.ObjectReference{APIVersion: "v1", Kind: "Pod", Namespace: p.Namespace, Name: p.Name, UID: p.UID}
		c.Recorder.Eventf(pod, nil, corev1.EventTypeWarning, "NotClaimed", action, "%.900s", err.Error())
	}
	c.Wake()
}

// foreign is the error of a claim of the pod's that is somebody else's.
type foreign struct{ claim string }

func (f foreign) Error() string {
	return fmt.Sprintf("ResourceClaim %s is not this pod's, and the pod waits: delete that claim, or the pod", f.claim)
}

// onlyUntilGone reports whether a quota denies the claim next of a pod only because it
// counts, or goes on counting, the one before it, which has the name of next.
func onlyUntilGone(err error, next *resourcev1.ResourceClaim) bool {
	excess, ok := podapi.Excess(err)
	if !ok {
		return false
	}
	class := next.Spec.Devices.Requests[0].Exactly.DeviceClassName
	for name, over := range excess {
		ownCount := name == "count/resourceclaims.resource.k8s.io" || name == corev1.ResourceName(class+".deviceclass.resource.k8s.io/devices")
		if !ownCount || over.CmpInt64(1) > 0 {
			return false
		}
	}
	return true
}
