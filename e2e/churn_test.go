//go:build long

package e2e

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"heteroaccel.io/e2e/cluster"
	"heteroaccel.io/e2e/machine"
	"heteroaccel.io/e2e/stack"
	"heteroaccel.io/pkg/accel"
)

// TestNoChurn keeps a small cluster in overload. All devices are held, and as
// many pods come to wait for a GPU as for an NPU; then the NPUs free, and the
// GPUs never do. Each device that frees moves one pod at most, each pod that
// moves runs, and no pod moves more often than its back-off allows.
func TestNoChurn(t *testing.T) {
	machines := machine.Fleet(2, machine.Shape{GPUs: 2, Sticks: 2, Cores: 16})
	s := start(t, stack.Config{Machines: machines})
	const quick, each = 60, 4 // pods, and devices of each kind
	held := map[string][]*corev1.Pod{}
	for _, resource := range []string{gpuResource, stickResource} {
		for range each {
			held[resource] = append(held[resource], create(t, s, holder(resource)))
		}
	}
	for _, p := range slices.Concat(held[gpuResource], held[stickResource]) {
		running(t, s, p)
	}
	for i := range quick {
		create(t, s, waitingPod(fmt.Sprintf("quick-%02d", i), withAnnotation(cluster.DurationAnnotation, "400ms")))
	}
	begun := time.Now()
	for _, p := range held[stickResource] {
		vacate(t, s, p)
	}
	moves := map[string]int{}
	eventually(t, func(ctx context.Context) error {
		all, err := waits(ctx, s)
		if err != nil {
			return err
		}
		done := 0
		for _, p := range all {
			n, _ := strconv.Atoi(p.Annotations[accel.ReadmissionsAnnotation])
			moves[p.Name] = max(moves[p.Name], n)
			if p.Status.Phase == corev1.PodSucceeded && kind(&p) == "NPU" {
				done++
			}
		}
		if done != quick || len(all) != quick {
			return fmt.Errorf("%d of %d pods are done on an NPU, want %d", done, len(all), quick)
		}
		return nil
	})
	took := time.Since(begun)
	total, highest := 0, 0
	for _, n := range moves {
		total += n
		highest = max(highest, n)
	}
	t.Logf("%d pods on %d devices in %s: %d re-admissions, at most %d of one pod", quick, each, took.Round(time.Second), total, highest)
	if frees := each + quick; total < quick/4 || total > frees {
		t.Errorf("%d re-admissions while %d times a device freed, want at most as many, and no less than %d", total, frees, quick/4)
	}
	// After the first, a pod rests for 5 s, then for 10.
	if highest > 1+int(took/(5*time.Second)) {
		t.Errorf("one pod was recreated %d times in %s", highest, took)
	}
	counted, err := metric(t.Context(), s, `heteroaccel_webhook_readmissions_total{outcome="done",owner="none"}`)
	if err != nil || int(counted) != total {
		t.Errorf("the webhook counts %v re-admissions, %v, and the pods %d", counted, err, total)
	}
	noRecords(t, s)
}
