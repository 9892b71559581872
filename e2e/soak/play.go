package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"heteroaccel.io/e2e/poll"
	"heteroaccel.io/e2e/soak/ledger"
	"heteroaccel.io/e2e/soak/plan"
)

// step is one thing to be done at a time.
type step struct {
	at time.Duration
	do func(context.Context) error
}

// play carries out the plan.
func (s *soak) play(ctx context.Context) error {
	var steps []step
	for _, o := range s.plan.Owners {
		steps = append(steps, step{o.At, func(ctx context.Context) error { return s.createOwner(ctx, o) }})
	}
	for _, e := range s.plan.Events {
		steps = append(steps, step{e.At, func(ctx context.Context) error { return s.act(ctx, e) }})
	}
	slices.SortStableFunc(steps, func(a, b step) int { return cmp.Compare(a.at, b.at) })
	s.began = time.Now()
	told := time.Now()
	for _, step := range steps {
		if err := poll.SleepUntil(ctx, s.began.Add(step.at)); err != nil {
			return err
		}
		if err := step.do(ctx); err != nil {
			return err
		}
		if time.Since(told) > 15*time.Second {
			told = time.Now()
			s.tell()
		}
	}
	err := poll.SleepUntil(ctx, s.began.Add(s.plan.Size.Duration))
	s.creators.Wait()
	return err
}

// tell says how far it is.
func (s *soak) tell() {
	waiting, running, ended := 0, 0, 0
	for _, p := range s.ledger.Pods() {
		switch {
		case ledger.Waiting(p):
			waiting++
		case ledger.Live(p):
			running++
		default:
			ended++
		}
	}
	s.say("%d pods run, %d wait, %d have ended; %d were created", running, waiting, ended, s.ledger.Made())
}

// createOwner creates an owner and its claims.
func (s *soak) createOwner(ctx context.Context, o *plan.Owner) error {
	for _, c := range o.Claims {
		if _, err := s.client.CoreV1().PersistentVolumeClaims(o.Namespace).Create(ctx, c, metav1.CreateOptions{}); err != nil {
			return fmt.Errorf("create claim %s: %w", c.Name, err)
		}
	}
	s.ledger.Want(o.Name, o.Count)
	if o.Sort == plan.Bare {
		// Whoever creates one tries again, as a controller does; in its own
		// time, so that nothing else waits.
		s.creators.Go(func() { s.createBare(ctx, o) })
		return nil
	}
	if err := s.create(ctx, o); err != nil {
		return fmt.Errorf("create %s: %w", o.Key(), err)
	}
	s.mu.Lock()
	s.made[o.Name] = true
	s.mu.Unlock()
	return nil
}

// createBare creates a pod; what the API server refuses is tried again.
func (s *soak) createBare(ctx context.Context, o *plan.Owner) {
	wait := 500 * time.Millisecond
	for {
		err := s.create(ctx, o)
		s.mu.Lock()
		if err == nil || apierrors.IsAlreadyExists(err) {
			s.made[o.Name] = true
			delete(s.refused, o.Name)
		} else {
			s.refused[o.Name] = err.Error()
		}
		done := s.made[o.Name]
		s.mu.Unlock()
		if done || wait > 20*time.Second || poll.SleepUntil(ctx, time.Now().Add(wait)) != nil {
			return
		}
		wait *= 2
	}
}

func (s *soak) create(ctx context.Context, o *plan.Owner) (err error) {
	var options metav1.CreateOptions
	switch object := o.Object().(type) {
	case *appsv1.Deployment:
		_, err = s.client.AppsV1().Deployments(o.Namespace).Create(ctx, object, options)
	case *appsv1.StatefulSet:
		_, err = s.client.AppsV1().StatefulSets(o.Namespace).Create(ctx, object, options)
	case *appsv1.DaemonSet:
		_, err = s.client.AppsV1().DaemonSets(o.Namespace).Create(ctx, object, options)
	case *corev1.ReplicationController:
		_, err = s.client.CoreV1().ReplicationControllers(o.Namespace).Create(ctx, object, options)
	case *batchv1.Job:
		_, err = s.client.BatchV1().Jobs(o.Namespace).Create(ctx, object, options)
	case *corev1.Pod:
		_, err = s.client.CoreV1().Pods(o.Namespace).Create(ctx, object, options)
	}
	return err
}

// act carries out one event. What it is about may be gone already: that is
// none of its business.
func (s *soak) act(ctx context.Context, e plan.Event) error {
	now := metav1.DeleteOptions{GracePeriodSeconds: new(int64(0))}
	switch e.Verb {
	case plan.Evict:
		var live []*corev1.Pod
		for _, p := range s.ledger.Pods() {
			if p.Labels[plan.OwnerLabel] == e.Owner.Name && ledger.Live(p) {
				live = append(live, p)
			}
		}
		if len(live) == 0 {
			return nil
		}
		p := live[e.Index%len(live)]
		s.ledger.Evict(p.UID)
		now.Preconditions = metav1.NewUIDPreconditions(string(p.UID))
		if err := s.client.CoreV1().Pods(p.Namespace).Delete(ctx, p.Name, now); err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
			return fmt.Errorf("evict %s: %w", p.Name, err)
		}
	case plan.Scale:
		return s.scale(ctx, e.Owner, e.Count)
	case plan.Leave:
		if err := s.client.CoreV1().Pods("soak-0").Delete(ctx, e.Pod, now); err != nil && !apierrors.IsNotFound(err) {
			return fmt.Errorf("delete %s: %w", e.Pod, err)
		}
	case plan.Mend:
		s.say("%s", e)
		return s.mend(ctx, e)
	default:
		s.say("%s", e)
		return s.fault(ctx, e)
	}
	return nil
}

func (s *soak) scale(ctx context.Context, o *plan.Owner, count int) error {
	s.mu.Lock()
	made := s.made[o.Name]
	if made {
		s.want[o.Name] = count
	}
	s.mu.Unlock()
	if !made {
		return nil
	}
	s.ledger.Want(o.Name, count)
	patch := fmt.Appendf(nil, `{"spec":{"replicas":%d}}`, count)
	var err error
	if o.Sort == plan.Controller {
		_, err = s.client.CoreV1().ReplicationControllers(o.Namespace).Patch(ctx, o.Name, types.MergePatchType, patch, metav1.PatchOptions{})
	} else {
		_, err = s.client.AppsV1().Deployments(o.Namespace).Patch(ctx, o.Name, types.MergePatchType, patch, metav1.PatchOptions{})
	}
	if err != nil {
		return fmt.Errorf("scale %s: %w", o.Key(), err)
	}
	return nil
}
