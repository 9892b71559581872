//go:build faults

package faults

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"heteroaccel.io/e2e/soak/judge"
	"heteroaccel.io/e2e/soak/ledger"
	"heteroaccel.io/e2e/stack"
	"heteroaccel.io/pkg/accel"
)

// settled waits until the pods of done have run, those of held rightly wait, and
// nothing else is wrong; then it checks what can only go wrong once.
func (x *site) settled(t *testing.T, done, held []owner) {
	t.Helper()
	err := until(t.Context(), func(ctx context.Context) error { return x.standing(ctx, done, held) })
	if err != nil {
		t.Fatalf("wave %d: %v", x.waves, err)
	}
	for _, o := range done {
		// Who was placed ran: no second pod may have been, and none may have been cut
		// short for another.
		if err := x.watch.once(o); err != nil {
			t.Errorf("wave %d: %v", x.waves, err)
		}
	}
	if err := x.watch.givenTwice(); err != nil {
		t.Error(err)
	}
	if t.Failed() {
		t.FailNow()
	}
}

// standing says what is not as it should be in the end.
func (x *site) standing(ctx context.Context, done, held []owner) error {
	x.poke(ctx, slices.Concat(done, held))
	for _, o := range done { // before the API server is asked for everything
		if err := placed(o, x.watch.of(o.name)); err != nil {
			return err
		}
	}
	list, err := x.client.CoreV1().Pods(ns).List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	nodes, err := x.client.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	secrets, err := x.client.CoreV1().Secrets(stack.Namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	pods := make([]*corev1.Pod, len(list.Items))
	for i := range list.Items {
		pods[i] = &list.Items[i]
	}
	var wrong []error
	for _, o := range done {
		wrong = append(wrong, x.ran(ctx, o, podsOf(pods, o)))
	}
	for _, o := range held {
		if n := podsOf(pods, o); len(n) != o.pods || !ledger.Waiting(n[0]) {
			wrong = append(wrong, fmt.Errorf("%s has %d pods, want %d that wait", o.name, len(n), o.pods))
		}
	}
	wrong = append(wrong, x.devicesStand(ctx, pods, nodes.Items))
	for _, what := range judge.Leftovers(secrets.Items, pods, stack.Namespace) {
		wrong = append(wrong, errors.New("left behind: "+what))
	}
	return errors.Join(wrong...)
}

// placed says whether an owner has all the pods that it asked for, and no more, and
// whether they have run, or run on where they do not end.
func placed(o owner, pods []*corev1.Pod) error {
	live, succeeded := 0, 0
	for _, p := range pods {
		switch {
		case p.Status.Phase == corev1.PodSucceeded:
			succeeded++
		case ledger.Live(p) && p.Spec.NodeName != "":
			live++
		default:
			return fmt.Errorf("pod %s of %s is %s on %q for %s: %s", p.Name, o.name, p.Status.Phase, p.Spec.NodeName, p.Annotations[accel.SelectedAnnotation], p.Annotations[accel.ReasonAnnotation])
		}
	}
	standing := judge.Owner{Name: o.name, Title: string(o.sort) + " " + o.name, Want: o.pods, Live: live + succeeded, Owed: o.pods}
	if standing.Outcome() != judge.Complete || o.runs != "" && succeeded != o.pods {
		return fmt.Errorf("%s; %d have succeeded", &standing, succeeded)
	}
	return nil
}

// ran says whether an owner has what it asked for by the API server's own account.
func (x *site) ran(ctx context.Context, o owner, pods []*corev1.Pod) error {
	if o.sort == job {
		j, err := x.client.BatchV1().Jobs(ns).Get(ctx, o.name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		if j.Status.Failed > 0 {
			return fmt.Errorf("job %s counts %d failed pods", o.name, j.Status.Failed)
		}
		if !complete(j) {
			return fmt.Errorf("job %s is not complete: %d pods", o.name, len(pods))
		}
	}
	return placed(o, pods)
}

func complete(j *batchv1.Job) bool {
	for _, c := range j.Status.Conditions {
		if c.Type == batchv1.JobComplete && c.Status == corev1.ConditionTrue {
			return true
		}
	}
	return false
}

// allowed are the kinds, but for the CPU, that a pod of the load may have.
func allowed(p *corev1.Pod) []accel.Kind {
	if p.Annotations[accel.AcceleratorAnnotation] == "gpu" {
		return []accel.Kind{"GPU"}
	}
	return []accel.Kind{"GPU", "NPU"}
}

// released waits until no replica of the webhook has a reservation left.
func (x *site) released(t *testing.T) {
	t.Helper()
	for _, replica := range []string{"webhook", "webhook-2"} {
		if x.Process(replica) == nil {
			continue
		}
		eventually(t, func(ctx context.Context) error {
			values, err := stack.Metrics(ctx, x.URL(replica+" status", "/metrics"))
			if err != nil {
				return err
			}
			if n, ok := values["heteroaccel_webhook_reservations"]; !ok || n != 0 {
				return fmt.Errorf("the %s has %v reservations left (counted: %t)", replica, n, ok)
			}
			return nil
		})
	}
}

// tell logs what there is and what the programs wrote last, for whoever looks into a
// failure.
func (x *site) tell(t *testing.T) {
	t.Helper()
	// The test's own context has ended.
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if said, err := x.Kubectl(ctx, "get", "pods,jobs,leases,services", "-A", "-o", "wide"); err == nil {
		t.Logf("there are:\n%s", said)
	}
	for _, name := range []string{"webhook", "webhook-2", "extender", "connector", "connector-2"} {
		if p := x.Process(name); p != nil {
			said := p.Said()
			t.Logf("the %s said last:\n%s", name, said[max(0, len(said)-6000):])
		}
	}
}
