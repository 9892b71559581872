package claim

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"heteroaccel.io/webhook/readmit/pending"
	"heteroaccel.io/webhook/readmit/podapi"
)

// deniedRetry is how soon a claim is asked for again that the API server denied: by
// then another kind may have been found for its pod.
const deniedRetry = 5 * time.Second

// create creates the claim of a pod. A claim for another kind that is not allocated,
// which somebody else must have made, goes first.
func (c *Claimer) create(ctx context.Context, p *pending.Pod) error {
	if !p.Moved.IsZero() {
		// A move may have ended between two of its steps. Where the profile has changed
		// since, the pod gets the device that its image is for.
		if err := c.mend(ctx, p); errors.Is(err, podapi.ErrChanged) {
			return nil
		} else if err != nil && !podapi.Rejected(err) {
			return err
		}
	}
	err := c.claims(p).create(ctx, of(p, p.Template.Kind, p.Class), false)
	switch {
	case err == nil:
		c.Created.WithLabelValues("done").Inc()
		return nil
	case apierrors.IsAlreadyExists(err):
		return c.replace(ctx, p)
	case apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause), apierrors.IsNotFound(err):
		return nil // the pod goes with its namespace
	case podapi.Definite(err):
		c.Created.WithLabelValues("refused").Inc()
		c.denied(p, p.Template.Kind, err)
		c.queue.AddAfter(p.Key(), deniedRetry)
		c.report(p, fmt.Errorf("its ResourceClaim for %s is refused: %w", p.Template.Kind, err))
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
		c.report(p, foreign{p.Claim})
		c.queue.AddAfter(p.Key(), maxRetry)
		return nil
	case st.allocated || st.request == requestName(p.Template.Kind):
		return nil // our own create had lost its answer, or the watch is behind
	}
	if err := api.remove(ctx, live); err != nil {
		return err
	}
	return api.create(ctx, of(p, p.Template.Kind, p.Class), false)
}

// mend changes a pod to what its record says that it was moved to.
func (c *Claimer) mend(ctx context.Context, p *pending.Pod) error {
	pod, a, err := c.amend(ctx, p, p.Template.Kind, nil)
	if err != nil {
		return err
	}
	return c.apply(ctx, pod, a, false)
}

// report tells a pod's owner why the pod gets no device.
func (c *Claimer) report(p *pending.Pod, err error) {
	pod := &corev1.ObjectReference{APIVersion: "v1", Kind: "Pod", Namespace: p.Namespace, Name: p.Name, UID: p.UID}
	c.Recorder.Eventf(pod, nil, corev1.EventTypeWarning, "NotClaimed", "Claim", "%.900s", err.Error())
}

// claims are the ResourceClaims of a pod's namespace.
func (c *Claimer) claims(p *pending.Pod) claimAPI { return claimAPI{c.Pods, p.Namespace} }

// claimAPI calls the API server about the claims of a namespace, each call for at most
// podapi.CallLimit.
type claimAPI struct {
	*podapi.Client
	namespace string
}

func (a claimAPI) create(ctx context.Context, claim *resourcev1.ResourceClaim, dryRun bool) error {
	ctx, cancel := context.WithTimeout(ctx, podapi.CallLimit)
	defer cancel()
	var options metav1.CreateOptions
	if dryRun {
		options.DryRun = []string{metav1.DryRunAll}
	}
	_, err := a.ResourceV1().ResourceClaims(a.namespace).Create(ctx, claim, options)
	return err
}

func (a claimAPI) get(ctx context.Context, name string) (*resourcev1.ResourceClaim, error) {
	ctx, cancel := context.WithTimeout(ctx, podapi.CallLimit)
	defer cancel()
	return a.ResourceV1().ResourceClaims(a.namespace).Get(ctx, name, metav1.GetOptions{})
}

// remove deletes a claim as it was looked at.
func (a claimAPI) remove(ctx context.Context, claim *resourcev1.ResourceClaim) error {
	ctx, cancel := context.WithTimeout(ctx, podapi.CallLimit)
	defer cancel()
	return a.ResourceV1().ResourceClaims(a.namespace).Delete(ctx, claim.Name, metav1.DeleteOptions{
		Preconditions: &metav1.Preconditions{UID: &claim.UID, ResourceVersion: &claim.ResourceVersion},
	})
}
