//go:build cluster

package edge

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"heteroaccel.io/e2e/realnodes"
	"heteroaccel.io/pkg/accel"
)

// TestExternalUse: once a process outside Kubernetes has the GPU, no new pod goes
// there; when it lets go, pods do again.
func TestExternalUse(t *testing.T) {
	watchAllocations(t)
	node := shared.Nodes["g"]
	p, err := node.Run("outside", "sh", "-c", "exec sleep 3600 3</dev/dri/renderD128")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Kill)
	begin := time.Now()
	outside := func(want string) func(context.Context) error {
		return func(ctx context.Context) error {
			view, err := shared.Inventory(ctx)
			if err != nil {
				return err
			}
			if d, ok := view.Device("g", "GPU"); !ok || d.ExternalUse != want {
				return fmt.Errorf("the extender shows %+v", d)
			}
			return nil
		}
	}
	eventually(t, "the GPU's external use is shown", outside("sleep"))
	t.Logf("seen after %s", since(begin))
	for i := range 4 {
		name := fmt.Sprintf("other-%d", i)
		job(t, name, "face-recognition", "any", 1)
	}
	for i := range 4 {
		if pod := podIn(t, fmt.Sprintf("other-%d", i), corev1.PodRunning, corev1.PodSucceeded); kindOf(pod) == "GPU" {
			t.Errorf("%s went to the GPU, which another process has", pod.Name)
		}
	}
	job(t, "patient", "face-recognition", "gpu", 1)
	if pod := podIn(t, "patient", corev1.PodPending); pod.Spec.NodeName != "" {
		t.Errorf("%s was bound to %s, whose GPU another process has", pod.Name, pod.Spec.NodeName)
	}
	p.Kill()
	eventually(t, "the GPU is free again", outside(""))
	succeeded(t, "patient")
}

// TestRestarts: whatever part of a node, or of us, is ended and started again
// while inferences run and come, each Job succeeds, and no device is given to
// two pods.
func TestRestarts(t *testing.T) {
	for _, tc := range []struct {
		name string
		hurt func(t *testing.T)
		// harmless says that no pod may fail for it: the node goes on.
		harmless bool
	}{
		{"kubelet", func(t *testing.T) {
			node := shared.Nodes["g"]
			node.Kubelet().Kill()
			between(t, "kubelet")
			if err := node.StartKubelet(t.Context()); err != nil {
				t.Fatal(err)
			}
		}, false},
		{"containerd", func(t *testing.T) {
			node := shared.Nodes["g"]
			node.Containerd().Kill()
			between(t, "containerd")
			if err := node.StartContainerd(t.Context()); err != nil {
				t.Fatal(err)
			}
		}, false},
		{"device plugin", func(t *testing.T) {
			deletePods(t, "kube-system", pluginLabel, "g")
			between(t, "plugin")
		}, false},
		{"exporter", func(t *testing.T) {
			kill(t, "g", "/exporter")
			between(t, "exporter")
		}, true},
		{"Prometheus", func(t *testing.T) {
			scale := func(n int) {
				if err := shared.Run(context.Background(), "-n", namespace, "scale", "deployment/"+prometheus, fmt.Sprintf("--replicas=%d", n)); err != nil {
					t.Fatal(err)
				}
			}
			scale(0)
			t.Cleanup(func() { scale(1) })
			eventually(t, "the extender notices that its telemetry is old", func(ctx context.Context) error {
				view, err := shared.Inventory(ctx)
				if err == nil && view.Fresh("g") {
					err = errors.New("they still count as fresh")
				}
				return err
			})
			between(t, "prometheus")
			scale(1)
		}, true},
		{"extender", func(t *testing.T) {
			deletePods(t, namespace, "app.kubernetes.io/name="+extender, "")
			between(t, "extender")
		}, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			watchAllocations(t)
			job(t, "before", "object-detection", "gpu", 20)
			before := podIn(t, "before", corev1.PodRunning)
			job(t, "queued", "text-recognition", "gpu", 2)
			tc.hurt(t)
			job(t, "after", "face-recognition", "gpu", 2)
			for _, name := range []string{"before", "queued", "after"} {
				if j := succeeded(t, name); tc.harmless && j.Status.Failed > 0 {
					t.Errorf("%s failed %d times", name, j.Status.Failed)
				}
			}
			pods, err := podsOf(t.Context(), "before")
			if err != nil {
				t.Fatal(err)
			}
			if len(pods) != 1 || pods[0].UID != before.UID {
				t.Errorf("the pod that ran was not left alone: %s", phasesOf(pods))
			}
			eventually(t, "everything is as before", settled)
		})
	}
}

// between creates, while something is away, an inference that does not need
// node G, and waits until it ran.
func between(t *testing.T, name string) {
	t.Helper()
	job(t, "between-"+name, "action-recognition", "npu,fpga", 1)
	succeeded(t, "between-"+name)
}

// settled returns nil when every node is Ready with its device, all telemetry
// fresh, and no device held.
func settled(ctx context.Context) error {
	view, err := shared.Inventory(ctx)
	if err != nil {
		return err
	}
	for name, resource := range realnodes.Resources {
		node, err := shared.Client().CoreV1().Nodes().Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		if n := node.Status.Allocatable[resource]; n.Value() != 1 {
			return fmt.Errorf("node %s offers %d of %s", name, n.Value(), resource)
		}
		if !view.Fresh(name) {
			return fmt.Errorf("node %s has no fresh telemetry", name)
		}
		for _, kind := range []accel.Kind{"GPU", "NPU", "FPGA"} {
			if d, ok := view.Device(name, kind); ok && (!d.Healthy || d.Allocated != 0) {
				return fmt.Errorf("node %s shows %+v", name, d)
			}
		}
	}
	return nil
}

// deletePods deletes pods, all or those of a node.
func deletePods(t *testing.T, namespace, label, node string) {
	t.Helper()
	args := []string{"-n", namespace, "delete", "pod", "-l", label}
	if node != "" {
		args = append(args, "--field-selector=spec.nodeName="+node)
	}
	if err := shared.Run(t.Context(), args...); err != nil {
		t.Fatal(err)
	}
}

// kill ends, as a crash would, the process of a node's that runs a program.
func kill(t *testing.T, node, program string) {
	t.Helper()
	if err := shared.Nodes[node].Kill(t.Context(), program); err != nil {
		t.Fatalf("node %s: %v", node, err)
	}
}

// TestDrain: a drained node gets nothing, and an uncordoned one is used again.
func TestDrain(t *testing.T) {
	watchAllocations(t)
	if err := shared.Run(t.Context(), "drain", "g", "--ignore-daemonsets", "--delete-emptydir-data", "--force", "--timeout=120s"); err != nil {
		t.Fatal(err)
	}
	back := func() {
		if err := shared.Run(context.Background(), "uncordon", "g"); err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(back)
	// Some of us may have been there, and move.
	eventually(t, "HeteroAccel goes on elsewhere", shared.ready)
	job(t, "elsewhere", "face-recognition", "any", 1)
	if pod := podIn(t, "elsewhere", corev1.PodRunning, corev1.PodSucceeded); pod.Spec.NodeName == "g" {
		t.Errorf("%s went to the drained node", pod.Name)
	}
	job(t, "homesick", "face-recognition", "gpu", 1)
	if pod := podIn(t, "homesick", corev1.PodPending); pod.Spec.NodeName != "" {
		t.Errorf("%s was bound to %s", pod.Name, pod.Spec.NodeName)
	}
	back()
	succeeded(t, "homesick")
}

// TestUnplug: a device that is pulled out is offered no more, and one that is
// put in again is used again, with no restart of anything.
func TestUnplug(t *testing.T) {
	watchAllocations(t)
	m := shared.Nodes["n"].Machine
	if err := m.Unplug("accel0"); err != nil {
		t.Fatal(err)
	}
	back := func() {
		if err := m.Plug("accel0"); err != nil {
			t.Error(err)
		}
	}
	defer func() {
		if t.Failed() {
			back()
		}
	}()
	if err := shared.WaitAllocatable(t.Context(), "n", realnodes.Resources["n"], 0); err != nil {
		t.Fatal(err)
	}
	job(t, "without", "face-recognition", "npu", 1)
	if pod := podIn(t, "without", corev1.PodPending); pod.Spec.NodeName != "" {
		t.Errorf("%s was bound to %s, whose NPU is gone", pod.Name, pod.Spec.NodeName)
	}
	back()
	succeeded(t, "without")
	eventually(t, "everything is as before", settled)
}
