//go:build cluster

package drivers

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"heteroaccel.io/e2e/edge"
	"heteroaccel.io/e2e/machine"
	"heteroaccel.io/e2e/realnodes"
	"heteroaccel.io/e2e/stack"
	"heteroaccel.io/pkg/accel"
)

// shared is the cluster that the tests use in turn, each leaving it as it was.
var shared *edge.Edge

// renderGroup is the group of the GPU's device file, and old the node whose containerd has
// no CDI.
const (
	renderGroup = 109
	old         = "o"
)

// files are the device files of the nodes, and names those of the devices in their pools.
var (
	files = map[string]string{"gpu": "/dev/dri/renderD128", "fpga": "/dev/dfl-port.0", "npu": "/dev/accel/accel0"}
	names = map[string]string{"gpu": "gpu-0000-00-02-0", "fpga": "fpga-0000-80-00-0", "npu": "npu-0000-00-0b-0", "cpu": "cpu"}
	nodes = map[string]string{"gpu": "g", "fpga": "f", "npu": "n"}
)

func TestMain(m *testing.M) {
	os.Exit(func() int {
		e, err := edge.Start(context.Background(), edge.Config{Out: os.Stdout, Late: true, Further: []*machine.Machine{
			{Name: old, CPU: "Intel(R) Core(TM) Ultra 7 258V", MHz: 2200, Cores: 8, MemoryGiB: 32, Devices: []machine.Device{machine.NPU(0, 1)}},
		}})
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		shared = e
		code := 1
		// As udev would.
		if err := inNode("g", "sh", "-c", fmt.Sprintf("chgrp %d %s && chmod 660 %[2]s", renderGroup, files["gpu"])); err != nil {
			fmt.Fprintln(os.Stderr, err)
		} else {
			code = m.Run()
		}
		if err := e.Stop(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		return code
	}())
}

// inNode runs a program in a node.
func inNode(node string, args ...string) error {
	if out, err := shared.Nodes[node].Command(context.Background(), args...).CombinedOutput(); err != nil {
		return fmt.Errorf("%v on node %s: %w: %s", args, node, err, out)
	}
	return nil
}

// eventually fails the test, with what the cluster looks like, unless try succeeds in time.
func eventually(t *testing.T, what string, try func(ctx context.Context) error) {
	t.Helper()
	if err := shared.Wait(t.Context(), try); err != nil {
		shared.Explain()
		t.Fatalf("%s: %v", what, err)
	}
}

// phase waits until a pod has one of the phases, and returns it.
func phase(t *testing.T, name string, phases ...corev1.PodPhase) (pod *corev1.Pod) {
	t.Helper()
	eventually(t, fmt.Sprint("pod ", name, " ", phases), func(ctx context.Context) (err error) {
		if pod, err = shared.Client().CoreV1().Pods(metav1.NamespaceDefault).Get(ctx, name, metav1.GetOptions{}); err != nil {
			return err
		}
		for _, p := range phases {
			if pod.Status.Phase == p {
				return nil
			}
		}
		return fmt.Errorf("it is %s on %q: %s", pod.Status.Phase, pod.Spec.NodeName, unschedulable(pod))
	})
	return pod
}

// waits waits until kube-scheduler has found no node for a pod.
func waits(t *testing.T, name string) *corev1.Pod {
	t.Helper()
	var pod *corev1.Pod
	eventually(t, "pod "+name+" waits", func(ctx context.Context) (err error) {
		pod, err = shared.Client().CoreV1().Pods(metav1.NamespaceDefault).Get(ctx, name, metav1.GetOptions{})
		if err == nil && unschedulable(pod) == "" {
			err = fmt.Errorf("it is %s on %q", pod.Status.Phase, pod.Spec.NodeName)
		}
		return err
	})
	return pod
}

func unschedulable(pod *corev1.Pod) string {
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse && c.Reason == corev1.PodReasonUnschedulable {
			return c.Message
		}
	}
	return ""
}

// says waits until what a pod's container has written satisfies enough, and returns it.
// A kubelet that has just started does not have it at once.
func says(t *testing.T, pod string, enough func(string) bool) (said string) {
	t.Helper()
	eventually(t, pod+" says what it has", func(ctx context.Context) (err error) {
		if said, err = shared.Kubectl(ctx, "logs", pod); err == nil && !enough(said) {
			err = fmt.Errorf("it says %q", said)
		}
		return err
	})
	return said
}

// prepared are the claims' files of a node, by name, with their content.
func prepared(t *testing.T, node string) map[string]string {
	t.Helper()
	paths, err := filepath.Glob(fmt.Sprintf("/proc/%d/root/run/cdi/*.json", shared.Nodes[node].PID()))
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if errors.Is(err, os.ErrNotExist) {
			continue // it went meanwhile
		}
		if err != nil {
			t.Fatal(err)
		}
		out[filepath.Base(path)] = string(text)
	}
	return out
}

// nothingPrepared waits until a node has no claim's file.
func nothingPrepared(t *testing.T, node string) {
	t.Helper()
	eventually(t, "no claim is prepared on node "+node, func(context.Context) error {
		if left := prepared(t, node); len(left) > 0 {
			return fmt.Errorf("it has %v", left)
		}
		return nil
	})
}

// exporters are the pods of the exporter on a node that are not ending.
func exporters(ctx context.Context, node string) ([]corev1.Pod, error) {
	list, err := shared.Client().CoreV1().Pods(stack.ExporterNamespace).List(ctx, metav1.ListOptions{
		LabelSelector: "app.kubernetes.io/name=heteroaccel-exporter", FieldSelector: "spec.nodeName=" + node,
	})
	if err != nil {
		return nil, err
	}
	var out []corev1.Pod
	for _, p := range list.Items {
		if p.DeletionTimestamp == nil {
			out = append(out, p)
		}
	}
	return out, nil
}

// metrics are what the exporter of a node exposes.
func metrics(ctx context.Context, node string) (map[string]float64, error) {
	list, err := exporters(ctx, node)
	if err != nil {
		return nil, err
	}
	if len(list) != 1 || list[0].Status.PodIP == "" {
		return nil, fmt.Errorf("node %s has %d exporters, want one with an address", node, len(list))
	}
	text, err := shared.Get(ctx, fmt.Sprintf("http://%s:9817/metrics", list[0].Status.PodIP))
	if err != nil {
		return nil, err
	}
	return stack.ParseMetrics(text)
}

// kill ends, as a crash would, the process of a node's that runs a program.
func kill(t *testing.T, node, program string) {
	t.Helper()
	if err := shared.Nodes[node].Kill(t.Context(), program); err != nil {
		t.Fatalf("node %s: %v", node, err)
	}
}

// claimOf is the claim of a pod that has one.
func claimOf(pod *corev1.Pod) string {
	for _, s := range pod.Status.ResourceClaimStatuses {
		if s.ResourceClaimName != nil {
			return *s.ResourceClaimName
		}
	}
	if len(pod.Spec.ResourceClaims) == 1 && pod.Spec.ResourceClaims[0].ResourceClaimName != nil {
		return *pod.Spec.ResourceClaims[0].ResourceClaimName
	}
	return ""
}

// allocated is the device that a pod's claim has, "" for none.
func allocated(ctx context.Context, pod *corev1.Pod) (string, error) {
	claim, err := shared.Client().ResourceV1().ResourceClaims(pod.Namespace).Get(ctx, claimOf(pod), metav1.GetOptions{})
	if err != nil {
		return "", err
	}
	if a := claim.Status.Allocation; a != nil && len(a.Devices.Results) == 1 && a.Devices.Results[0].Driver == accel.DeviceDriver {
		return a.Devices.Results[0].Pool + "/" + a.Devices.Results[0].Device, nil
	}
	return "", nil
}

func since(begin time.Time) time.Duration { return time.Since(begin).Round(10 * time.Millisecond) }

// withCDI are the nodes that publish devices.
func withCDI() (out []string) {
	for _, m := range realnodes.Machines() {
		out = append(out, m.Name)
	}
	return out
}
