//go:build long

package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"heteroaccel.io/e2e/cluster"
	"heteroaccel.io/e2e/stack"
)

// TestCRD: without the CRD the programs stay ready, a pod is refused with the command
// that installs it, other pods are untouched, and profiles come back without a
// restart; also when a program starts meanwhile.
func TestCRD(t *testing.T) {
	s := start(t, stack.Config{Machines: oneOfEach(), Race: true})
	root, err := cluster.Root()
	if err != nil {
		t.Fatal(err)
	}
	run := func(args ...string) {
		t.Helper()
		if said, err := s.Kubectl(t.Context(), args...); err != nil {
			t.Fatalf("%v: %s", err, said)
		}
	}
	const want = `there is no InferenceProfile "face-recognition", nor any other: the CRD inferenceprofiles.heteroaccel.io is not installed: install it with kubectl apply --server-side -k deploy/base/crd`
	missing := func() {
		t.Helper()
		saysMetric(t, s, "heteroaccel_webhook_profile_crd_installed", 0)
		eventually(t, func(ctx context.Context) error {
			if _, err := would(ctx, s, anyPod("", "face-recognition", "any")); err == nil || !strings.Contains(err.Error(), want) {
				return fmt.Errorf("the pod is not refused for the missing CRD: %v", err)
			}
			return nil
		})
		if _, err := would(t.Context(), s, plainPod("")); err != nil {
			t.Errorf("a pod that is not ours is refused: %v", err)
		}
		for _, program := range []string{"webhook status", "extender status"} {
			if said, err := stack.Get(t.Context(), s.URL(program, "/readyz")); err != nil {
				t.Errorf("%s is not ready: %s, %v", program, said, err)
			}
		}
		said, err := stack.Get(t.Context(), s.URL("extender", "/profiles"))
		if err != nil || !strings.Contains(said, "is not installed") {
			t.Errorf("the extender's page says %s, %v", said, err)
		}
	}
	installed := func() {
		t.Helper()
		run("apply", "--server-side", "-k", root+"/deploy/base/crd")
		if err := s.Established(t.Context(), "inferenceprofiles.heteroaccel.io"); err != nil {
			t.Fatal(err)
		}
		eventually(t, func(ctx context.Context) error {
			said, err := s.Kubectl(ctx, "apply", "--server-side", "-k", root+"/deploy/registry")
			if err != nil {
				err = fmt.Errorf("%w: %s", err, said)
			}
			return err
		})
		eventuallyWould(t, s, anyPod("", "face-recognition", "gpu"), "GPU")
		saysMetric(t, s, "heteroaccel_webhook_profile_crd_installed", 1)
	}
	run("delete", "crd", "inferenceprofiles.heteroaccel.io", "--wait")
	missing()
	installed()
	run("delete", "crd", "inferenceprofiles.heteroaccel.io", "--wait")
	missing()
	s.Process("webhook").Kill()
	if err := s.StartWebhook(t.Context()); err != nil {
		t.Fatal(err)
	}
	missing()
	installed()
}
