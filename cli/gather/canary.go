package gather

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/rand"
	"k8s.io/apimachinery/pkg/util/wait"

	"heteroaccel.io/cli/check"
	"heteroaccel.io/cli/pages"
	"heteroaccel.io/pkg/accel"
)

const (
	// placeLimit is how long kube-scheduler may take to place the pod, and askLimit how
	// long an extender may take to know of it.
	placeLimit = 15 * time.Second
	askLimit   = 5 * time.Second
	// removeLimit is how long the removal of the pod is tried.
	removeLimit = 10 * time.Second
	interval    = 100 * time.Millisecond
)

// canary has kube-scheduler place a pod where a device is free, and asks every extender
// whether it was asked.
func (g *Gatherer) canary(ctx context.Context, c *check.Cluster, clients []*pages.Client) (k check.Canary) {
	if !g.Canary {
		k.Err = fmt.Errorf("%w: no pod is placed with --canary=false", check.ErrNotAsked)
		return k
	}
	if c.Mutated.Err != nil {
		k.Err = c.Mutated.Err
		return k
	}
	g.sweep(ctx)
	found := candidates(c)
	for _, client := range clients {
		if ago, name, err := client.LastQuestion(ctx); err == nil && name != "" && (k.LastPod == "" || ago < k.Last) {
			k.Last, k.LastPod = ago, name
		}
	}
	if len(found) == 0 {
		k.NothingFree = true
		return k
	}
	var created *corev1.Pod
	defer func() {
		if created != nil {
			k.Left = g.remove(ctx, created.Name)
		}
	}()
	for _, f := range found {
		k.Resource = f.resource
		asks := pod(g.Namespace, f.profile, f.kind)
		var would *corev1.Pod
		if would, k.Err = g.try(ctx, asks); k.Err == nil {
			if k.Late = boundLate(would); k.Late {
				continue
			}
			created, k.Err = g.create(ctx, asks)
		}
		// A profile may be for other namespaces: then the next one is asked for.
		if k.Err == nil || !check.Denied(k.Err) {
			break
		}
	}
	if k.Err != nil || created == nil {
		return k
	}
	if k.Late = boundLate(created); k.Late { // its driver came up just now
		return k
	}
	g.place(ctx, created, &k)
	if k.Err != nil || k.Node == "" {
		return k
	}
	for _, client := range clients {
		answer, err := ask(ctx, client, created)
		if err != nil {
			k.Err = err
			return k
		}
		k.Answers = append(k.Answers, answer)
	}
	return k
}

// boundLate reports whether a pod, as it was admitted, is bound late: then kube-scheduler
// need not ask about it.
func boundLate(p *corev1.Pod) bool { return p.Annotations[accel.DeviceAnnotation] != "" }

// place waits until kube-scheduler has found a node for the pod, or none.
func (g *Gatherer) place(ctx context.Context, created *corev1.Pod, k *check.Canary) {
	// What ends the wait is in seen: no error but that of reading it counts.
	seen := created
	err := wait.PollUntilContextTimeout(ctx, interval, placeLimit, true, func(ctx context.Context) (bool, error) {
		var err error
		seen, err = g.client.CoreV1().Pods(g.Namespace).Get(ctx, created.Name, metav1.GetOptions{})
		return err == nil && (seen.Spec.NodeName != "" || verdict(seen) != ""), err
	})
	if err != nil && !wait.Interrupted(err) {
		k.Err = err
		return
	}
	k.Node, k.Verdict = seen.Spec.NodeName, verdict(seen)
	if k.Node == "" && k.Verdict == "" {
		k.Verdict = fmt.Sprintf("it has said nothing for %s", placeLimit)
	}
}

// create creates the pod, under a name of our own and also when ctx ends meanwhile: so
// what is to be removed is known. It is nil if the API server refused it.
func (g *Gatherer) create(ctx context.Context, p *corev1.Pod) (*corev1.Pod, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), placeLimit)
	defer cancel()
	p.Name, p.GenerateName = p.GenerateName+rand.String(5), ""
	created, err := g.client.CoreV1().Pods(g.Namespace).Create(ctx, p, metav1.CreateOptions{})
	switch {
	case err == nil:
		return created, nil
	case errors.As(err, new(*apierrors.StatusError)) && !apierrors.IsTimeout(err) && !apierrors.IsServerTimeout(err):
		return nil, err
	}
	return p, err // it may have been created
}

// ask waits until an extender has seen that the pod is bound, and returns what it says
// then: whether it was asked is decided before a pod is bound.
func ask(ctx context.Context, client *pages.Client, p *corev1.Pod) (answer pages.Asked, err error) {
	err = wait.PollUntilContextTimeout(ctx, interval, askLimit, true, func(ctx context.Context) (bool, error) {
		answer, err = client.Asked(ctx, p.Namespace, p.Name)
		return answer.Asked == "yes" || answer.Node != "", err
	})
	if wait.Interrupted(err) && ctx.Err() == nil {
		err = nil
	}
	return answer, err
}

// verdict is kube-scheduler's reason for finding no node.
func verdict(p *corev1.Pod) string {
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse && c.Reason == corev1.PodReasonUnschedulable {
			return c.Message
		}
	}
	return ""
}

// remove deletes the pod at once, also when ctx has ended.
func (g *Gatherer) remove(ctx context.Context, name string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), removeLimit)
	defer cancel()
	var last error
	err := wait.PollUntilContextCancel(ctx, interval, true, func(ctx context.Context) (bool, error) {
		last = g.client.CoreV1().Pods(g.Namespace).Delete(ctx, name, metav1.DeleteOptions{GracePeriodSeconds: new(int64(0))})
		return last == nil || apierrors.IsNotFound(last), nil
	})
	if err != nil {
		return fmt.Errorf("remove pod %s: %w", name, errors.Join(err, last))
	}
	return nil
}

// sweepAge is how old a pod of ours is that nobody waits for any more.
const sweepAge = 2 * time.Minute

// sweep removes pods of checks that were killed. It may fail: the next one tries again.
func (g *Gatherer) sweep(ctx context.Context) {
	left, err := g.client.CoreV1().Pods(g.Namespace).List(ctx, metav1.ListOptions{LabelSelector: canaryLabel + "=canary"})
	if err != nil {
		return
	}
	for _, p := range left.Items {
		if time.Since(p.CreationTimestamp.Time) > sweepAge {
			_ = g.remove(ctx, p.Name)
		}
	}
}

// candidate is a kind of a profile that needs one device, of a resource.
type candidate struct{ profile, kind, resource string }

// candidates are those for which a device is free now on a node that takes any pod, by
// the extenders' pages.
func candidates(c *check.Cluster) (free []candidate) {
	if len(c.Replicas.Value) == 0 {
		return nil
	}
	for _, n := range c.Replicas.Value[0].Nodes {
		if n.Cordoned || len(n.Taints) > 0 {
			continue
		}
		for _, r := range n.Resources {
			if r.Usable <= 0 {
				continue
			}
			for _, p := range c.Profiles.Value {
				f := candidate{p.Name, kindsOf(p)[r.Resource], r.Resource}
				if f.kind != "" && !slices.Contains(free, f) {
					free = append(free, f)
				}
			}
		}
	}
	return free
}
