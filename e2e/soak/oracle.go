package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"heteroaccel.io/e2e/soak/judge"
	"heteroaccel.io/e2e/soak/ledger"
	"heteroaccel.io/e2e/soak/plan"
	"heteroaccel.io/e2e/soak/twin"
	"heteroaccel.io/e2e/stack"
	"heteroaccel.io/pkg/accel"
)

// verdictLimit is how long the scheduler has to say something about a twin.
const verdictLimit = 20 * time.Second

// waits asks the scheduler about each pod of ours that waits: one twin at a
// time for each kind it may have, its own first. Nothing else may happen
// meanwhile.
func (s *soak) waits(ctx context.Context) ([]*judge.Wait, error) {
	var waiting []*corev1.Pod
	for _, p := range s.ledger.Pods() {
		if ledger.Waiting(p) && s.owner[p.Labels[plan.OwnerLabel]] != nil {
			waiting = append(waiting, p)
		}
	}
	s.say("%d pods wait; the scheduler is asked about a twin of each, for each kind it may have", len(waiting))
	var all []*judge.Wait
	for _, p := range waiting {
		w, err := s.judgeWait(ctx, p)
		if err != nil {
			return nil, err
		}
		if w != nil {
			all = append(all, w)
		}
	}
	return all, nil
}

// judgeWait tries the twins of one pod; nil for one that is gone.
func (s *soak) judgeWait(ctx context.Context, p *corev1.Pod) (*judge.Wait, error) {
	o := s.owner[p.Labels[plan.OwnerLabel]]
	own := accel.Kind(p.Annotations[accel.SelectedAnnotation])
	w := &judge.Wait{
		Pod: p.Namespace + "/" + p.Name, Owner: o.Key(), Own: own, Since: s.ledger.Since(p.Namespace, p.Name), Moves: moves(p),
		Message: message(p), Reason: p.Annotations[accel.ReasonAnnotation], Service: map[accel.Kind]time.Duration{}, Ending: s.ending(o, own),
	}
	page, err := stack.Get(ctx, s.URL("extender", "/pods/"+w.Pod))
	if w.Page = page; err != nil {
		w.Page = err.Error()
	}
	kinds := slices.DeleteFunc(slices.Clone(o.Kinds), func(k accel.Kind) bool { return k == own })
	if slices.Contains(o.Kinds, own) {
		kinds = append([]accel.Kind{own}, kinds...)
	}
	for _, k := range kinds {
		now, err := s.client.CoreV1().Pods(p.Namespace).Get(ctx, p.Name, metav1.GetOptions{})
		switch {
		case apierrors.IsNotFound(err) || err == nil && now.UID != p.UID:
			s.say("pod %s went while twins were tried", w.Pod)
			return nil, nil
		case err != nil:
			return nil, fmt.Errorf("look at %s: %w", w.Pod, err)
		case now.Spec.NodeName != "":
			w.Bound = now.Spec.NodeName
			return w, nil
		}
		v, _ := s.plan.Variant(o.Inference, k)
		w.Service[k] = v.ServiceTime.Duration
		t, err := s.try(ctx, now, twin.Of(now, &o.Template, plan.Container, v, plan.Twin, s.holders[p.Namespace]))
		if err != nil {
			return nil, fmt.Errorf("try a twin of %s on %s: %w", w.Pod, k, err)
		}
		t.Kind = k
		w.Tries = append(w.Tries, t)
	}
	return w, nil
}

// try creates a twin, waits for what the scheduler says, and removes it. What
// the namespace's quotas count for the pod in whose place it is, they have room
// for meanwhile: a replacement would have it.
func (s *soak) try(ctx context.Context, live, t *corev1.Pod) (judge.Try, error) {
	restore, err := s.makeRoom(ctx, live)
	if err != nil {
		return judge.Try{}, err
	}
	defer restore()
	pods := s.client.CoreV1().Pods(t.Namespace)
	made, err := pods.Create(ctx, t, metav1.CreateOptions{})
	if err != nil {
		if ctx.Err() != nil {
			return judge.Try{}, context.Cause(ctx)
		}
		return judge.Try{Refused: err.Error()}, nil
	}
	var said judge.Try
	err = s.until(ctx, verdictLimit, func() (bool, error) {
		now, err := pods.Get(ctx, made.Name, metav1.GetOptions{})
		if err != nil {
			return false, err
		}
		said = judge.Try{Node: now.Spec.NodeName, Message: message(now)}
		return said.Node != "" || said.Message != "", nil
	})
	if err != nil {
		return said, err
	}
	err = pods.Delete(ctx, made.Name, metav1.DeleteOptions{GracePeriodSeconds: new(int64(0)), Preconditions: metav1.NewUIDPreconditions(string(made.UID))})
	if err != nil && !apierrors.IsNotFound(err) {
		return said, fmt.Errorf("delete the twin: %w", err)
	}
	gone := false
	err = s.until(ctx, verdictLimit, func() (bool, error) {
		_, err := pods.Get(ctx, made.Name, metav1.GetOptions{})
		gone = apierrors.IsNotFound(err)
		return gone, nil
	})
	if err == nil && !gone {
		err = fmt.Errorf("twin %s does not go", made.Name)
	}
	return said, err
}

// message is why the scheduler found no node for a pod, "" while it has not
// said.
func message(p *corev1.Pod) string {
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse && c.Reason == corev1.PodReasonUnschedulable {
			return c.Message
		}
	}
	return ""
}

// ending is how much longer the pods are expected to run that hold what an
// owner's pods need of a kind, and end by themselves.
func (s *soak) ending(o *plan.Owner, kind accel.Kind) (left []time.Duration) {
	v, ok := s.plan.Variant(o.Inference, kind)
	if !ok {
		return nil
	}
	for _, p := range s.ledger.Pods() {
		if !ledger.Live(p) || p.Spec.NodeName == "" || !ends(p) || !holds(p, v.Limits) {
			continue
		}
		takes, err := time.ParseDuration(p.Annotations[durationOf(p)])
		if err != nil || p.Status.StartTime == nil {
			continue
		}
		left = append(left, max(0, takes-time.Since(p.Status.StartTime.Time)))
	}
	return left
}
