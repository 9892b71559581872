package e2e

import (
	"context"
	"strings"
	"testing"
	"time"

	"heteroaccel.io/e2e/stack"
)

// minReady: where a Deployment has minReadySeconds, the next pod has been Ready for so long
// when the one before it goes, as in a rollout.
func minReady(t *testing.T, s *stack.Stack) {
	gpu := occupy(t, s, gpuResource)
	manifest := strings.Replace(serverManifest(`, heteroaccel.io/upgrade: "true"`), "\nspec:\n", "\nspec:\n  minReadySeconds: 2\n", 1)
	serve(t, s, manifest, "NPU")
	defer deleteOwner(t, s, manifest)
	available(t, s)
	vacate(t, s, gpu)
	began := time.Now()
	runsOn(t, s, "GPU")
	if took := time.Since(began); took < 2*time.Second {
		t.Errorf("it was moved after %s", took)
	}
	eventually(t, func(ctx context.Context) error { return nothingMarked(ctx, s) })
}
