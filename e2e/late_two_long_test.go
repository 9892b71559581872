//go:build long

package e2e

import (
	"context"
	"errors"
	"testing"

	"heteroaccel.io/e2e/machine"
	"heteroaccel.io/pkg/accel"
)

// TestLateTwoLeaders: a second leader creates and moves claims beside the one that holds
// the Lease, as one would that has not noticed that it lost it. Each pod has one claim,
// and its image is that of the claim's kind, whenever it runs.
func TestLateTwoLeaders(t *testing.T) {
	s := lateCluster(t, machine.Paper(), "--readmission-backoff=100ms")
	second := beginLate(t, s, &crash{happened: make(chan struct{})})
	defer second.stop()
	agreed(t, s, create(t, s, latePod("holds-gpu", "gpu")))
	eventuallyWould(t, s, latePod("", "npu,gpu"), "NPU")
	npu := agreed(t, s, create(t, s, latePod("holds-npu", "npu")))
	const pods, rounds = 20, 16
	uids := waitForGPU(t, s, pods)
	lateProfile(t, s, "10ms")
	moved := 0
	for range rounds {
		delete(uids, npu.UID)
		free(t, s, npu)
		eventually(t, func(ctx context.Context) (err error) {
			if npu, err = allAgree(ctx, s, uids); err == nil && npu == nil {
				err = errors.New("nobody runs on the NPU")
			}
			return err
		})
		if npu.Annotations[accel.ReadmissionsAnnotation] != "" {
			moved++
		}
	}
	t.Logf("%d of %d had been moved", moved, rounds)
	if moved == 0 {
		t.Error("nobody was moved: this tests nothing")
	}
}
