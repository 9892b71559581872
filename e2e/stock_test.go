package e2e

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"heteroaccel.io/e2e/machine"
	"heteroaccel.io/e2e/stack"
	"heteroaccel.io/pkg/accel"
)

// TestStockScheduler: nothing in a pod of ours needs a scheduler that knows of
// us. A scheduler without our extender places it by its own accounting, which is
// also what a cluster autoscaler simulates, and quotas and queueing systems see
// only resources that they know.
func TestStockScheduler(t *testing.T) {
	s := borrow(t, oneNode)
	if err := s.RestartScheduler(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.RestartScheduler(t.Context(), extenders(t, s)); err != nil {
			t.Error(err)
		}
	}()
	// No node has an FPGA here, which the clean-up between shared tests asks for.
	t.Run("no extender configured", func(t *testing.T) { noExtender(t, s) })
	t.Run("a node group with no node yet", func(t *testing.T) { scaledToZero(t, s) })
	t.Run("quotas see no marker", func(t *testing.T) { noMarker(t, s) })
	t.Run("gated by a queue", func(t *testing.T) { gated(t, s) })
}

func noExtender(t *testing.T, s *stack.Stack) {
	for _, want := range []string{"GPU", "NPU", "CPU"} {
		p := create(t, s, anyPod("stock-"+strings.ToLower(want), "face-recognition", "any"))
		wantKind(t, p, want)
		defer vacate(t, s, running(t, s, p))
	}
}

// scaledToZero: a kind that no node has is chosen when nothing else may run the
// pod, which waits with the accelerator's own resource. Once a node of that kind
// joins, as an autoscaler would have it, the scheduler's NodeResourcesFit finds
// that it fits, and so would the autoscaler's.
func scaledToZero(t *testing.T, s *stack.Stack) {
	p := create(t, s, anyPod("scaled", "face-recognition", "fpga"))
	wantKind(t, p, "FPGA")
	eventually(t, func(ctx context.Context) error {
		for _, c := range get(t, s, p).Status.Conditions {
			if c.Type == corev1.PodScheduled && strings.Contains(c.Message, "Insufficient fpga.intel.com/arria10.dcp1.2-nlb0") && !strings.Contains(c.Message, accel.Prefix) {
				return nil
			}
		}
		return errors.New("the scheduler does not say that it waits for an FPGA")
	})
	grown := machine.Fleet(2, machine.Shape{FPGAs: 1, Cores: 8})[1]
	if _, err := s.AddNode(t.Context(), grown); err != nil {
		t.Fatal(err)
	}
	if got := running(t, s, p); got.Spec.NodeName != grown.Name {
		t.Errorf("it runs on %s, want the node that joined", got.Spec.NodeName)
	}
	vacate(t, s, p)
	if err := s.RemoveNode(t.Context(), grown.Name); err != nil {
		t.Fatal(err)
	}
}

// noMarker: pods request what the variant limits and nothing else, so that a
// quota for all resources of ours refuses none.
func noMarker(t *testing.T, s *stack.Stack) {
	namespace(t, s, "unmarked")
	limited(t, s, "unmarked", map[string]string{"requests." + accel.Prefix + "accelerator": "0", "pods": "5"})
	for _, kinds := range []string{"gpu", "npu", "cpu"} {
		p := create(t, s, anyPod("unmarked-"+kinds, "face-recognition", kinds, inNamespace("unmarked")))
		for _, c := range p.Spec.Containers {
			for name := range c.Resources.Requests {
				if strings.HasPrefix(string(name), accel.Prefix) {
					t.Errorf("%s requests %s", p.Name, name)
				}
			}
		}
		defer vacate(t, s, running(t, s, p))
	}
}

// gated: a pod behind a scheduling gate holds nothing, and what it was given is
// looked at anew when the gate goes.
func gated(t *testing.T, s *stack.Stack) {
	p := create(t, s, waitingPod("behind-a-gate", func(p *corev1.Pod) {
		p.Spec.SchedulingGates = []corev1.PodSchedulingGate{{Name: "example.com/queue"}}
	}))
	wantKind(t, p, "GPU")
	// It takes nothing from others meanwhile, once the webhook has seen it and
	// released its reservation.
	eventually(t, func(ctx context.Context) error {
		next, err := would(ctx, s, anyPod("", "face-recognition", "gpu,npu"))
		if err == nil && kind(next) != "GPU" {
			err = fmt.Errorf("the next pod would get %s: %s", kind(next), reason(next))
		}
		return err
	})
	other := create(t, s, anyPod("beside", "face-recognition", "gpu,npu", func(p *corev1.Pod) { p.Spec.RestartPolicy = corev1.RestartPolicyAlways }))
	wantKind(t, other, "GPU")
	running(t, s, other)
	ungate := []byte(`{"spec":{"schedulingGates":[]}}`)
	if _, err := s.Client().CoreV1().Pods(p.Namespace).Patch(t.Context(), p.Name, types.MergePatchType, ungate, metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, func(ctx context.Context) error {
		now, err := s.Client().CoreV1().Pods(p.Namespace).Get(ctx, p.Name, metav1.GetOptions{})
		if err == nil && (kind(now) != "NPU" || now.Status.Phase != corev1.PodRunning) {
			err = fmt.Errorf("it is %s on %s: %s", now.Status.Phase, kind(now), reason(now))
		}
		return err
	})
}
