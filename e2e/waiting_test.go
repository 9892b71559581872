package e2e

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"heteroaccel.io/e2e/machine"
	"heteroaccel.io/e2e/stack"
)

const (
	gpuResource   = "gpu.intel.com/i915"
	stickResource = "vpu.intel.com/hddl"
)

// oneOfEach is a cluster of one node with a GPU and a stick.
func oneOfEach() []*machine.Machine {
	return machine.Fleet(1, machine.Shape{GPUs: 1, Sticks: 1, Cores: 8})
}

// waitingOwners make one pod each, labelled app: waits, that may have a GPU or
// an NPU and waits for a GPU while both are taken.
var waitingOwners = map[string]string{
	"bare pod": `
apiVersion: v1
kind: Pod
metadata:
  name: waits
  labels: {app: waits, mine: too}
  annotations: {heteroaccel.io/inference: face-recognition, heteroaccel.io/accelerator: "gpu,npu", note: kept}
spec:
  restartPolicy: Never
  containers:
  - name: inference
    image: mine
    command: [bash, -c, "./run -d GPU && sleep 60"]
    env: [{name: PASSWORD, value: secret}]
    resources: {requests: {memory: 64Mi}}
`,
	"Deployment": `
apiVersion: apps/v1
kind: Deployment
metadata: {name: waits}
spec:
  selector: {matchLabels: {app: waits}}` + waitingTemplate("Always"),
	"StatefulSet": `
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: waits}
spec:
  serviceName: none
  selector: {matchLabels: {app: waits}}` + waitingTemplate("Always"),
	"ReplicationController": `
apiVersion: v1
kind: ReplicationController
metadata: {name: waits}
spec:
  selector: {app: waits}` + waitingTemplate("Always"),
	"DaemonSet": `
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: waits}
spec:
  selector: {matchLabels: {app: waits}}` + waitingTemplate("Always"),
	"Job": `
apiVersion: batch/v1
kind: Job
metadata: {name: waits}
spec:
  backoffLimit: 0` + waitingTemplate("Never"),
	"Indexed Job": `
apiVersion: batch/v1
kind: Job
metadata: {name: waits}
spec:
  backoffLimit: 0
  completionMode: Indexed
  completions: 1` + waitingTemplate("OnFailure"),
}

func waitingTemplate(restart string) string {
	return `
  template:
    metadata:
      labels: {app: waits}
      annotations: {heteroaccel.io/inference: face-recognition, heteroaccel.io/accelerator: "gpu,npu"}
    spec:
      restartPolicy: ` + restart + `
      containers:
      - {name: inference, image: mine, args: [-d, GPU]}
`
}

// holder is a pod that holds a device, asks nothing of us, and is not expected
// to end.
func holder(resource string) *corev1.Pod {
	name := "occupies-" + strings.NewReplacer(".", "-", "/", "-").Replace(resource)
	p := plainPod("", withLimit(resource, "1"), func(p *corev1.Pod) { p.Spec.RestartPolicy = corev1.RestartPolicyAlways })
	p.GenerateName = name + "-"
	return p
}

// occupy takes a device away.
func occupy(t *testing.T, s *stack.Stack, resource string) *corev1.Pod {
	t.Helper()
	return running(t, s, create(t, s, holder(resource)))
}

// vacate deletes a pod and returns when it was gone.
func vacate(t *testing.T, s *stack.Stack, p *corev1.Pod) time.Time {
	t.Helper()
	now := int64(0)
	pods := s.Client().CoreV1().Pods(p.Namespace)
	if err := pods.Delete(t.Context(), p.Name, metav1.DeleteOptions{GracePeriodSeconds: &now}); err != nil {
		t.Fatalf("delete %s: %v", p.Name, err)
	}
	gone := time.Now()
	eventually(t, func(ctx context.Context) error {
		if found, err := pods.Get(ctx, p.Name, metav1.GetOptions{}); err == nil && found.UID == p.UID {
			return fmt.Errorf("pod %s is still there", p.Name)
		}
		return nil
	})
	return gone
}

// waits lists the pods labelled app: waits that are not being deleted.
func waits(ctx context.Context, s *stack.Stack) ([]corev1.Pod, error) {
	list, err := s.Client().CoreV1().Pods(metav1.NamespaceDefault).List(ctx, metav1.ListOptions{LabelSelector: "app=waits"})
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(list.Items, func(p corev1.Pod) bool { return p.DeletionTimestamp != nil }), nil
}

// waitsFor creates an owner's pod, and returns it once the scheduler has found
// that what it waits for is taken.
func waitsFor(t *testing.T, s *stack.Stack, manifest, want string) corev1.Pod {
	t.Helper()
	if said, err := s.KubectlInput(t.Context(), manifest, "create", "-f", "-"); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	var pod corev1.Pod
	eventually(t, func(ctx context.Context) error {
		pods, err := waits(ctx, s)
		if err != nil || len(pods) != 1 {
			return fmt.Errorf("%d pods wait, want 1: %w", len(pods), errors.Join(err))
		}
		pod = pods[0]
		if unschedulable(&pod) == "" {
			return fmt.Errorf("pod %s was not found unschedulable", pod.Name)
		}
		return nil
	})
	wantKind(t, &pod, want)
	return pod
}

// unschedulable is what kube-scheduler says of a pod that it finds no node
// for; "" before it has tried, and once the pod is bound.
func unschedulable(p *corev1.Pod) string {
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodScheduled && c.Reason == corev1.PodReasonUnschedulable {
			return c.Message
		}
	}
	return ""
}

// runsOn waits until exactly one pod is there and runs on a kind; it returns
// the pod and when it was first seen to run.
func runsOn(t *testing.T, s *stack.Stack, want string) (corev1.Pod, time.Time) {
	t.Helper()
	var pod corev1.Pod
	eventually(t, func(ctx context.Context) error {
		pods, err := waits(ctx, s)
		if err != nil {
			return err
		}
		if len(pods) != 1 || pods[0].Status.Phase != corev1.PodRunning || kind(&pods[0]) != want {
			said := make([]string, len(pods))
			for i, p := range pods {
				said[i] = fmt.Sprintf("%s %s on %s: %s", p.Name, p.Status.Phase, kind(&p), reason(&p))
			}
			return fmt.Errorf("want one pod that runs on %s, there are: %s", want, strings.Join(said, "; "))
		}
		pod = pods[0]
		return nil
	})
	return pod, time.Now()
}

// deleteOwner deletes an owner and its pods.
func deleteOwner(t *testing.T, s *stack.Stack, manifest string) {
	t.Helper()
	if said, err := s.KubectlInput(t.Context(), manifest, "delete", "--cascade=foreground", "--grace-period=0", "--force", "--ignore-not-found", "-f", "-"); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	eventually(t, func(ctx context.Context) error {
		list, err := s.Client().CoreV1().Pods(metav1.NamespaceDefault).List(ctx, metav1.ListOptions{LabelSelector: "app=waits"})
		if err == nil && len(list.Items) > 0 {
			err = fmt.Errorf("%d pods are still there", len(list.Items))
		}
		return err
	})
}

func withPriority(class string) podOption {
	return func(p *corev1.Pod) { p.Spec.PriorityClassName = class }
}

func waitingPod(name string, options ...podOption) *corev1.Pod {
	p := anyPod(name, "face-recognition", "gpu,npu", options...)
	p.Labels = map[string]string{"app": "waits"}
	return p
}

// onePod waits until exactly one pod labelled app: waits is there for which
// check passes.
func onePod(t *testing.T, s *stack.Stack, check func(*corev1.Pod) error) corev1.Pod {
	t.Helper()
	var pod corev1.Pod
	eventually(t, func(ctx context.Context) error {
		pods, err := waits(ctx, s)
		if err != nil {
			return err
		}
		if len(pods) != 1 {
			return fmt.Errorf("%d pods are there, want 1", len(pods))
		}
		pod = pods[0]
		if err := check(&pod); err != nil {
			return fmt.Errorf("%w: pod %s %s on %s: %s", err, pod.Name, pod.Status.Phase, kind(&pod), reason(&pod))
		}
		return nil
	})
	return pod
}

// fillDevices takes all GPUs, and so many sticks.
func fillDevices(t *testing.T, s *stack.Stack, sticks int) (held []*corev1.Pod) {
	t.Helper()
	for range 2 {
		held = append(held, occupy(t, s, gpuResource))
	}
	for range sticks {
		held = append(held, occupy(t, s, stickResource))
	}
	return held
}
