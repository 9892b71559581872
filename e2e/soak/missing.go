package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"heteroaccel.io/e2e/soak/judge"
	"heteroaccel.io/e2e/soak/plan"
	"heteroaccel.io/e2e/soak/twin"
	"heteroaccel.io/pkg/accel"
)

// owners looks at what every owner has. Of one that is short the API server is
// asked what it would take; if it takes something, the owner's controller,
// which may pause for a quarter of an hour after refusals, is made to look
// again, and what comes late is said, but is not lost.
func (s *soak) owners(ctx context.Context) ([]*judge.Owner, error) {
	all, short, err := s.standings(ctx)
	if err != nil || len(short) == 0 {
		return all, err
	}
	late := map[string]bool{}
	for _, o := range short {
		if !o.Outcome().Failed() {
			continue
		}
		late[o.Name] = true
		line, _, _ := strings.Cut(o.String(), "\n")
		s.say("%s", line)
		if err := s.poke(ctx, s.owner[o.Name]); err != nil {
			return nil, err
		}
	}
	if len(late) == 0 {
		return all, nil
	}
	s.say("%d owners are short; their controllers were made to look again", len(late))
	err = s.until(ctx, comeLimit, func() (bool, error) {
		all, short, err = s.standings(ctx)
		for _, o := range short {
			if o.Outcome().Failed() {
				return false, err
			}
		}
		return true, err
	})
	for _, o := range all {
		if late[o.Name] && o.Outcome() == judge.Complete {
			s.say("late, but there: %s", s.owner[o.Name].Key())
		}
	}
	s.settle(ctx, quiet, settleLimit/2)
	all, _, err = s.standings(ctx)
	return all, err
}

// standings are all owners', and those of the ones that have not what they want.
func (s *soak) standings(ctx context.Context) (all, short []*judge.Owner, err error) {
	for _, o := range s.plan.Owners {
		standing, err := s.standing(ctx, o)
		if err != nil {
			return nil, nil, err
		}
		all = append(all, standing)
		if standing.Live == standing.Want {
			continue
		}
		short = append(short, standing)
		if standing.Refusals, err = s.refusals(ctx, o); err != nil {
			return nil, nil, err
		}
		if standing.Controller, err = s.toldLast(ctx, o); err != nil {
			return nil, nil, err
		}
	}
	return all, short, nil
}

// standing counts an owner's pods.
func (s *soak) standing(ctx context.Context, o *plan.Owner) (*judge.Owner, error) {
	s.mu.Lock()
	want, scaled := s.want[o.Name]
	made := s.made[o.Name]
	s.mu.Unlock()
	if !scaled {
		want = o.Count
	}
	have := s.ledger.Of(o.Name)
	var pause time.Time
	switch o.Sort {
	case plan.Bare:
		if made && have.Owed == 0 && have.Live == 0 {
			want = 0 // it has ended, or made room for another
		}
	case plan.Job, plan.IndexedJob:
		job, err := s.client.BatchV1().Jobs(o.Namespace).Get(ctx, o.Name, metav1.GetOptions{})
		if err != nil {
			return nil, fmt.Errorf("look at %s: %w", o.Key(), err)
		}
		want = judge.Job(o.Count, o.Completions, int(job.Status.Succeeded), over(job))
		pause = judge.JobPause(int(job.Status.Failed), have.ShortSince, time.Now())
	}
	return &judge.Owner{Name: o.Name, Title: o.Key(), Want: want, Live: have.Live, Owed: min(have.Owed, want), ShortSince: have.ShortSince, PausesUntil: pause}, nil
}

// over reports whether a Job has succeeded. One that failed is not over: its
// pods end well, and if the scheduler evicts some it may try a hundred times.
func over(job *batchv1.Job) bool {
	for _, c := range job.Status.Conditions {
		if c.Type == batchv1.JobComplete && c.Status == corev1.ConditionTrue {
			return true
		}
	}
	return false
}

// refusals asks the API server about a pod of an owner's, pinned by hand to
// each of its kinds. Nothing is created.
func (s *soak) refusals(ctx context.Context, o *plan.Owner) (map[accel.Kind]string, error) {
	said := map[accel.Kind]string{}
	for _, k := range o.Kinds {
		v, _ := s.plan.Variant(o.Inference, k)
		pod := twin.Pinned(&o.Template, plan.Container, v)
		for _, c := range o.ClaimTemplates { // as a StatefulSet adds them
			pod.Spec.Volumes = append(pod.Spec.Volumes, corev1.Volume{Name: c.Name, VolumeSource: corev1.VolumeSource{
				PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: c.Name + "-" + o.Name + "-0"},
			}})
		}
		_, err := s.client.CoreV1().Pods(o.Namespace).Create(ctx, pod, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		said[k] = ""
		if err != nil {
			said[k] = err.Error()
		}
	}
	return said, nil
}

// toldLast is what the API server said to an owner's controller last.
func (s *soak) toldLast(ctx context.Context, o *plan.Owner) (string, error) {
	s.mu.Lock()
	refused := s.refused[o.Name]
	s.mu.Unlock()
	if o.Sort == plan.Bare {
		return refused, nil
	}
	events, err := s.client.CoreV1().Events(o.Namespace).List(ctx, metav1.ListOptions{FieldSelector: "reason=FailedCreate"})
	if err != nil {
		return "", fmt.Errorf("list the events of %s: %w", o.Namespace, err)
	}
	last, at := "", time.Time{}
	for _, e := range events.Items {
		// A Deployment's ReplicaSet has the Deployment's name and more.
		when := e.LastTimestamp.Time
		if e.InvolvedObject.Name == o.Name || o.Sort == plan.Deployment && strings.HasPrefix(e.InvolvedObject.Name, o.Name+"-") {
			if when.After(at) {
				last, at = fmt.Sprintf("%s (%d times, last at %s)", e.Message, e.Count, when.Format(time.TimeOnly)), when
			}
		}
	}
	return last, nil
}

// poke has an owner's controller look again; a bare pod that was never there
// is created.
func (s *soak) poke(ctx context.Context, o *plan.Owner) (err error) {
	patch := fmt.Appendf(nil, `{"metadata":{"annotations":{"soak/poke":%q}}}`, time.Now().Format(time.RFC3339Nano))
	apps, merge, none := s.client.AppsV1(), types.MergePatchType, metav1.PatchOptions{}
	switch o.Sort {
	case plan.Deployment:
		sets, err := apps.ReplicaSets(o.Namespace).List(ctx, metav1.ListOptions{LabelSelector: plan.OwnerLabel + "=" + o.Name})
		if err != nil {
			return fmt.Errorf("list the ReplicaSets of %s: %w", o.Key(), err)
		}
		for _, set := range sets.Items {
			if _, err := apps.ReplicaSets(o.Namespace).Patch(ctx, set.Name, merge, patch, none); err != nil {
				return fmt.Errorf("annotate ReplicaSet %s: %w", set.Name, err)
			}
		}
	case plan.StatefulSet:
		_, err = apps.StatefulSets(o.Namespace).Patch(ctx, o.Name, merge, patch, none)
	case plan.DaemonSet:
		_, err = apps.DaemonSets(o.Namespace).Patch(ctx, o.Name, merge, patch, none)
	case plan.Controller:
		_, err = s.client.CoreV1().ReplicationControllers(o.Namespace).Patch(ctx, o.Name, merge, patch, none)
	case plan.Job, plan.IndexedJob:
		_, err = s.client.BatchV1().Jobs(o.Namespace).Patch(ctx, o.Name, merge, patch, none)
	case plan.Bare:
		s.mu.Lock()
		made := s.made[o.Name]
		s.mu.Unlock()
		if !made { // else it is not the user who has to create it
			s.creators.Go(func() { s.createBare(ctx, o) })
		}
	}
	if err != nil {
		return fmt.Errorf("annotate %s: %w", o.Key(), err)
	}
	return nil
}
