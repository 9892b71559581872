package e2e

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"heteroaccel.io/e2e/stack"
)

// suspended: one switch stops all moves, and lets them go on.
func suspended(t *testing.T, s *stack.Stack) {
	held := fillDevices(t, s, 1)
	kubectl := func(args ...string) {
		t.Helper()
		if said, err := s.Kubectl(t.Context(), append([]string{"-n", stack.Namespace}, args...)...); err != nil {
			t.Fatalf("kubectl %v: %v: %s", args, err, said)
		}
	}
	says := func(want float64) {
		t.Helper()
		eventually(t, func(ctx context.Context) error {
			v, err := metric(ctx, s, "heteroaccel_webhook_readmission_suspended")
			if err == nil && v != want {
				err = fmt.Errorf("the metric is %v, want %v", v, want)
			}
			return err
		})
	}
	kubectl("create", "configmap", "heteroaccel-readmission", "--from-literal=suspended=true")
	says(1)
	before := waitsFor(t, s, waitingOwners["Deployment"], "GPU")
	defer deleteOwner(t, s, waitingOwners["Deployment"])
	vacate(t, s, held[2])
	unmoved(t, s, &before)
	kubectl("delete", "configmap", "heteroaccel-readmission")
	says(0)
	runsOn(t, s, "NPU")
	vacate(t, s, held[0])
	vacate(t, s, held[1])
}

// unmoved waits until another pod in the same place would have been recreated
// long ago, and checks that this one was not.
func unmoved(t *testing.T, s *stack.Stack, p *corev1.Pod) {
	t.Helper()
	roundsRead(t, s, 8)
	onePod(t, s, func(now *corev1.Pod) error {
		if now.UID != p.UID {
			return errors.New("it was recreated")
		}
		return nil
	})
}

// optedOut: a pod annotated with readmission: false is never recreated.
func optedOut(t *testing.T, s *stack.Stack) {
	held := fillDevices(t, s, 1)
	manifest := strings.Replace(waitingOwners["Deployment"], `accelerator: "gpu,npu"`, `accelerator: "gpu,npu", heteroaccel.io/readmission: "false"`, 1)
	before := waitsFor(t, s, manifest, "GPU")
	vacate(t, s, held[2])
	unmoved(t, s, &before)
	deleteOwner(t, s, manifest)
	vacate(t, s, held[0])
	vacate(t, s, held[1])
}

// onDelete: a controller that takes a deletion for the sign to update is left
// alone, unless its pods say that they may be recreated.
func onDelete(t *testing.T, s *stack.Stack) {
	for _, owner := range []string{"StatefulSet", "DaemonSet"} {
		for _, opted := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s opted in %v", owner, opted), func(t *testing.T) {
				held := fillDevices(t, s, 1)
				manifest := strings.Replace(waitingOwners[owner], "spec:\n", "spec:\n  updateStrategy: {type: OnDelete}\n", 1)
				// On the node with the stick alone a DaemonSet's pod finds one.
				manifest = strings.Replace(manifest, `"gpu,npu"`, `"gpu,cpu"`, 1)
				manifest = strings.Replace(manifest, "      containers:", "      nodeSelector: {kubernetes.io/hostname: node-000}\n      containers:", 1)
				if opted {
					manifest = strings.Replace(manifest, `accelerator: "gpu,cpu"`, `accelerator: "gpu,cpu", heteroaccel.io/readmission: "true"`, 1)
				}
				cores := create(t, s, plainPod("cores", withLimit("cpu", "7500m"), onNodes("kubernetes.io/hostname", "node-000")))
				running(t, s, cores)
				before := waitsFor(t, s, manifest, "GPU")
				vacate(t, s, cores)
				if opted {
					runsOn(t, s, "CPU")
				} else {
					unmoved(t, s, &before)
				}
				deleteOwner(t, s, manifest)
				for _, p := range held {
					vacate(t, s, p)
				}
			})
		}
	}
}
