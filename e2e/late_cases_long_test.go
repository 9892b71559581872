//go:build long

package e2e

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	schedulingv1 "k8s.io/api/scheduling/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"heteroaccel.io/e2e/machine"
	"heteroaccel.io/e2e/stack"
)

// lateCase is a pod that is bound late among things which keep it from some nodes.
type lateCase struct {
	// prepare sets them up, nil for nothing, and returns what undoes that, nil for nothing.
	prepare func(*testing.T, *stack.Stack) (undo func())
	pod     *corev1.Pod
	// kind is what the pod gets, and node where it runs; with waits it waits, for that
	// kind, until what was prepared is undone, and then runs there.
	kind, node string
	// waits is a part of what kube-scheduler says of it, "" where it runs at once.
	waits string
	// why is a part of the reason that the pod is given.
	why string
	// moved is set where kube-scheduler alone knows, so that the first kind is another.
	moved bool
}

var lateCases = map[string]lateCase{
	"volume of a node": {
		prepare: volumeOnN, pod: latePod("volume", "gpu,npu", withClaim("data")), kind: "NPU", node: "n",
	},
	"selector": {pod: latePod("selected", "any", onNodes(corev1.LabelHostname, "n")), kind: "NPU", node: "n"},
	"taint": {
		prepare: commands([]string{"taint", "node", "g", "reserved=yes:NoSchedule"}, []string{"taint", "node", "g", "reserved-"}),
		pod:     latePod("not-tolerant", "gpu,npu"), kind: "NPU", node: "n",
	},
	"taint, tolerated": {
		prepare: commands([]string{"taint", "node", "g", "reserved=yes:NoSchedule"}, []string{"taint", "node", "g", "reserved-"}),
		pod: latePod("tolerant", "gpu,npu", func(p *corev1.Pod) {
			p.Spec.Tolerations = []corev1.Toleration{{Key: "reserved", Operator: corev1.TolerationOpExists}}
		}), kind: "GPU", node: "g",
	},
	"taint, and no other kind": {
		prepare: commands([]string{"taint", "node", "g", "reserved=yes:NoSchedule"}, []string{"taint", "node", "g", "reserved-"}),
		pod:     latePod("insists", "gpu"), kind: "GPU", node: "g", waits: "untolerated taint", why: "no node could take this pod",
	},
	"cordon": {
		prepare: commands([]string{"cordon", "g"}, []string{"uncordon", "g"}),
		pod:     latePod("cordoned", "gpu,npu"), kind: "NPU", node: "n",
	},
	"port": {prepare: portHeld, pod: latePod("port", "gpu,npu", hostPort), kind: "NPU", node: "n", moved: true},
	"port, and no other kind": {
		prepare: portHeld, pod: latePod("port-alone", "gpu", hostPort), kind: "GPU", node: "g", waits: "free ports",
	},
	"neighbour, and no other kind": {
		prepare: neighbourOnG, pod: latePod("alone", "gpu", notBeside), kind: "GPU", node: "g", waits: "anti-affinity",
	},
	"broken device": {prepare: gpuBroken, pod: latePod("unbroken", "gpu,npu"), kind: "NPU", node: "n"},
	"broken device, and no other kind": {
		prepare: gpuBroken, pod: latePod("broken", "gpu"), kind: "GPU", node: "g", waits: "cannot allocate", why: "GPU",
	},
	"memory of the pod that no node has": {
		pod: latePod("large", "gpu,npu", func(p *corev1.Pod) {
			p.Spec.Containers[0].Resources.Requests = corev1.ResourceList{corev1.ResourceMemory: *amountOf("900Ti")}
			p.Spec.Containers[0].Resources.Limits = corev1.ResourceList{corev1.ResourceMemory: *amountOf("900Ti")}
		}), waits: "Insufficient memory", why: "no node could take this pod",
	},
}

// TestLateCases: pods that are bound late get a device where they may run, whether we or
// kube-scheduler alone know where that is; or they wait, are told why, and hold none.
func TestLateCases(t *testing.T) {
	s := lateCluster(t, machine.Paper())
	for name, c := range lateCases {
		t.Run(name, func(t *testing.T) { c.run(t, s) })
	}
	runShared(t, s, []shared{
		{"volume that is bound with the pod", lateKeeper},
		{"other scheduler", lateOtherScheduler},
		{"gated by a queue", lateGated},
		{"LimitRange", lateLimitRange},
		{"moved into a LimitRange", lateIntoLimitRange},
		{"quota of limits", lateQuotaOfLimits},
		{"priority, and a broken device", latePriority},
		{"claim of another container", lateBesideClaim},
		{"node that is yet to come", lateScaledToZero},
	})
}

// run creates the pod of a case, and checks what becomes of it.
func (c lateCase) run(t *testing.T, s *stack.Stack) {
	defer tidy(t, s)
	undone := c.prepare == nil
	undo := func() {}
	if !undone {
		undo = c.prepare(t, s)
	}
	defer func() {
		if !undone {
			undo()
		}
	}()
	if c.waits == "" && !c.moved {
		eventuallyWould(t, s, probeOf(c.pod), c.kind)
	}
	p := create(t, s, c.pod.DeepCopy())
	if c.why != "" && !strings.Contains(reason(p), c.why) {
		t.Errorf("its reason is %q, want in it %q", reason(p), c.why)
	}
	switch {
	case c.waits == "":
		if c.moved && kind(p) == c.kind {
			t.Errorf("it got %s at once: this tests nothing", c.kind)
		}
	default:
		saysUnschedulable(t, s, p, c.waits)
		holdsNothing(t, s, p)
		if c.kind == "" {
			return
		}
		undo()
		undone = true
	}
	ran := agreed(t, s, p)
	wantKind(t, ran, c.kind)
	if ran.Spec.NodeName != c.node {
		t.Errorf("it runs on %s, want %s", ran.Spec.NodeName, c.node)
	}
	onceEach(t, s)
}

// probeOf is a pod like one, for dry runs.
func probeOf(p *corev1.Pod) *corev1.Pod {
	p = p.DeepCopy()
	p.Name = ""
	return p
}

// saysUnschedulable waits until kube-scheduler has said some words of a pod that waits.
func saysUnschedulable(t *testing.T, s *stack.Stack, p *corev1.Pod, words string) {
	t.Helper()
	eventually(t, func(context.Context) error {
		now := get(t, s, p)
		for _, c := range now.Status.Conditions {
			if c.Type == corev1.PodScheduled && strings.Contains(c.Message, words) {
				return nil
			}
		}
		return fmt.Errorf("kube-scheduler says of pod %s on %q %v, want %q", p.Name, now.Spec.NodeName, now.Status.Conditions, words)
	})
}

// holdsNothing checks that a pod is the one that was created, waits, and has no device.
func holdsNothing(t *testing.T, s *stack.Stack, p *corev1.Pod) {
	t.Helper()
	now := get(t, s, p)
	if now.UID != p.UID || now.Spec.NodeName != "" {
		t.Errorf("pod %s is %s on %q, was %s", p.Name, now.UID, now.Spec.NodeName, p.UID)
	}
	if c, err := claimOf(t.Context(), s, now); err != nil || c != nil && c.Status.Allocation != nil {
		t.Errorf("its claim is %+v, %v", c, err)
	}
}

// onceEach checks that no device but the processors' has two claims.
func onceEach(t *testing.T, s *stack.Stack) {
	t.Helper()
	claims, err := s.Client().ResourceV1().ResourceClaims(metav1.NamespaceAll).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	has := map[string]string{}
	for _, c := range claims.Items {
		if c.Status.Allocation == nil {
			continue
		}
		for _, r := range c.Status.Allocation.Devices.Results {
			device := r.Driver + "/" + r.Pool + "/" + r.Device
			if other := has[device]; other != "" && r.Driver != "cpu.test" {
				t.Errorf("%s has %s and %s", device, other, c.Name)
			}
			has[device] = c.Name
		}
	}
}

// lateOtherScheduler: a pod of a scheduler that is none of ours is refused with a sentence.
func lateOtherScheduler(t *testing.T, s *stack.Stack) {
	_, err := s.Client().CoreV1().Pods(metav1.NamespaceDefault).Create(t.Context(), latePod("elsewhere", "any", func(p *corev1.Pod) { p.Spec.SchedulerName = "volcano" }), metav1.CreateOptions{})
	if err == nil || !apierrors.IsBadRequest(err) || !strings.Contains(err.Error(), `spec.schedulerName is "volcano", and only pods of default-scheduler are placed by device here`) {
		t.Errorf("error %v, want a sentence about the scheduler", err)
	}
}

// lateGated: a pod behind a scheduling gate has no claim, and takes nothing from others;
// what it was given is looked at anew when the gate goes.
func lateGated(t *testing.T, s *stack.Stack) {
	p := create(t, s, latePod("behind-a-gate", "gpu,npu", behindGate))
	wantKind(t, p, "GPU")
	eventuallyWould(t, s, latePod("", "gpu,npu"), "GPU")
	agreed(t, s, create(t, s, latePod("beside", "gpu")))
	if c, err := claimOf(t.Context(), s, get(t, s, p)); err != nil || c != nil {
		t.Errorf("behind its gate it has the claim %+v, %v", c, err)
	}
	if _, err := s.Client().CoreV1().Pods(p.Namespace).Patch(t.Context(), p.Name, types.MergePatchType, []byte(`{"spec":{"schedulingGates":[]}}`), metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	wantKind(t, agreed(t, s, p), "NPU")
	onceEach(t, s)
}

// latePriority: nobody is evicted for a pod of a higher priority, whether the device that
// both want works or not; the pod waits, and gets it.
func latePriority(t *testing.T, s *stack.Stack) {
	classes := s.Client().SchedulingV1().PriorityClasses()
	if _, err := classes.Create(t.Context(), &schedulingv1.PriorityClass{ObjectMeta: metav1.ObjectMeta{Name: "high"}, Value: 1000}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	low := agreed(t, s, create(t, s, latePod("low", "gpu")))
	mend := gpuBroken(t, s)
	high := create(t, s, latePod("high", "gpu", withPriority("high")))
	saysUnschedulable(t, s, high, "cannot allocate")
	mend()
	if now := get(t, s, low); now.UID != low.UID || now.DeletionTimestamp != nil || now.Status.Phase != corev1.PodRunning {
		t.Errorf("the pod of the lower priority is %s, deleted at %v", now.Status.Phase, now.DeletionTimestamp)
	}
	holdsNothing(t, s, high)
	onceEach(t, s)
	free(t, s, low)
	wantKind(t, agreed(t, s, high), "GPU")
}

// gpuBroken has the driver say that the GPU cannot be used.
func gpuBroken(t *testing.T, s *stack.Stack) (mend func()) {
	if err := breakDevices(t.Context(), s, "g-gpu", -1); err != nil {
		t.Fatal(err)
	}
	eventuallyWould(t, s, latePod("", "gpu,npu"), "NPU")
	return func() {
		if err := breakDevices(t.Context(), s, "g-gpu", 0); err != nil {
			t.Error(err)
		}
	}
}

// entryOf is the entry of a pod for a claim, by its name.
func entryOf(p *corev1.Pod, name string) (*corev1.PodResourceClaim, error) {
	i := slices.IndexFunc(p.Spec.ResourceClaims, func(e corev1.PodResourceClaim) bool { return e.Name == name })
	if i < 0 {
		return nil, errors.New("the pod has no claim " + name)
	}
	return &p.Spec.ResourceClaims[i], nil
}
