package e2e

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	schedulerv1 "k8s.io/kube-scheduler/config/v1"

	"heteroaccel.io/e2e/stack"
)

// nobodyAsks: a resource that is missing in the scheduler's configuration is
// noticed, and the report goes once it is there.
func nobodyAsks(t *testing.T, s *stack.Stack) {
	const warning = "add " + gpuResource + " to managedResources"
	whole := extenders(t, s)
	less := slices.Clone(whole)
	less[0].ManagedResources = slices.DeleteFunc(slices.Clone(less[0].ManagedResources), func(r schedulerv1.ExtenderManagedResource) bool { return r.Name == gpuResource })
	restart := func(extenders []schedulerv1.Extender) {
		t.Helper()
		if err := s.RestartScheduler(t.Context(), extenders); err != nil {
			t.Fatal(err)
		}
	}
	index := func(ctx context.Context) (string, error) {
		text, err := stack.Get(ctx, s.URL("extender", "/"))
		return strings.Join(strings.Fields(text), " "), err
	}
	round := 0
	placeOne := func(ctx context.Context) error { // one more pod that wants the GPU comes and goes
		round++
		p := create(t, s, pinned(fmt.Sprintf("round-%d", round), "g"))
		running(t, s, p)
		now := int64(0)
		return s.Client().CoreV1().Pods(p.Namespace).Delete(ctx, p.Name, metav1.DeleteOptions{GracePeriodSeconds: &now})
	}

	restart(less)
	s.Process("extender").Stop() // one that was never asked about the resource
	if err := s.StartExtender(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, func(ctx context.Context) error {
		if err := placeOne(ctx); err != nil {
			return err
		}
		text, err := index(ctx)
		if err == nil && !strings.Contains(text, warning) {
			err = fmt.Errorf("/ does not say %q: %s", warning, text)
		}
		return err
	})
	if n, err := metricOf(t.Context(), s, "extender status", fmt.Sprintf("heteroaccel_extender_bypassed_pods_total{resource=%q}", gpuResource)); err != nil || n < 1 {
		t.Errorf("the metric counts %v pods, %v", n, err)
	}
	profiles, err := stack.Get(t.Context(), s.URL("extender", "/profiles"))
	if err != nil || !strings.Contains(strings.Join(strings.Fields(profiles), " "), warning) {
		t.Errorf("/profiles does not say %q: %v\n%s", warning, err, profiles)
	}

	restart(whole)
	eventually(t, func(ctx context.Context) error {
		if err := placeOne(ctx); err != nil {
			return err
		}
		text, err := index(ctx)
		if err == nil && strings.Contains(text, warning) {
			err = fmt.Errorf("/ still says %q", warning)
		}
		return err
	})
}

// extenders are those of the scheduler's configuration, at our process' address.
func extenders(t *testing.T, s *stack.Stack) []schedulerv1.Extender {
	t.Helper()
	whole, err := s.Extenders()
	if err != nil {
		t.Fatal(err)
	}
	return whole
}

// theSchedulersWords: the page of a pod for which kube-scheduler finds no node
// quotes kube-scheduler, and does not claim that there is one.
func theSchedulersWords(t *testing.T, s *stack.Stack) {
	if said, err := s.KubectlInput(t.Context(), localVolume, "create", "-f", "-"); err != nil {
		t.Fatalf("kubectl create: %v: %s", err, said)
	}
	p := create(t, s, anyPod("bound-volume", "face-recognition", "gpu", withClaim("data")))
	// It may find something else once it knows of the volume.
	eventually(t, func(ctx context.Context) error {
		text, err := stack.Get(ctx, s.URL("extender", "/pods/default/bound-volume"))
		words := unschedulable(get(t, s, p))
		switch {
		case err != nil:
			return err
		case words == "":
			return errors.New("the scheduler has said nothing yet")
		case !strings.Contains(strings.Join(strings.Fields(text), " "), strings.Join(strings.Fields(words), " ")):
			return fmt.Errorf("%q is not in:\n%s", words, text)
		}
		return nil
	})
	podSays(t, s, p, "never asked: kube-scheduler's own plugins rejected every node")
	text, err := stack.Get(t.Context(), s.URL("extender", "/pods/default/bound-volume"))
	if err != nil || strings.Contains(strings.Join(strings.Fields(text), " "), "the pod fits now") {
		t.Errorf("the page contradicts the scheduler: %v\n%s", err, text)
	}
}
