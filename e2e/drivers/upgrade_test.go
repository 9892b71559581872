//go:build cluster

package drivers

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"

	"heteroaccel.io/e2e/realnodes"
	"heteroaccel.io/e2e/stack"
)

const daemonset = "daemonset/heteroaccel-exporter"

// upgrade rolls out an exporter with a further flag, and returns what rolls it back.
func upgrade(t *testing.T, flag string) (undo func()) {
	t.Helper()
	patch := fmt.Sprintf(`[{"op": "add", "path": "/spec/template/spec/containers/0/args/-", "value": %q}]`, flag)
	rollout(t, "patch", daemonset, "--type=json", "-p", patch)
	return func() { rollout(t, "rollout", "undo", daemonset) }
}

// rollout changes the exporters' DaemonSet, and waits until each is as it says.
func rollout(t *testing.T, args ...string) {
	t.Helper()
	if err := rollingOut(args...); err != nil {
		shared.Explain()
		t.Fatal(err)
	}
	eventually(t, "each kubelet has registered the one driver of its node", registered)
}

func rollingOut(args ...string) error {
	ctx := context.Background()
	if err := shared.Run(ctx, append([]string{"-n", stack.ExporterNamespace}, args...)...); err != nil {
		return err
	}
	return shared.Rollout(ctx, stack.ExporterNamespace, daemonset)
}

// registered returns nil when each node has one exporter, which the kubelet knows and
// which publishes what it has.
func registered(ctx context.Context) error {
	for _, m := range realnodes.Machines() {
		values, err := metrics(ctx, m.Name)
		if err != nil {
			return err
		}
		if values[fmt.Sprintf("heteroaccel_device_driver_registered{node=%q}", m.Name)] != 1 {
			return fmt.Errorf("the kubelet of node %s has not registered the driver", m.Name)
		}
		published, err := shared.Published(ctx, m.Name)
		if err != nil {
			return err
		}
		if want := 1 + len(m.Devices); len(published) != want {
			return fmt.Errorf("node %s publishes %q, want %d devices", m.Name, published, want)
		}
	}
	return nil
}

// TestUpgrade: while the exporters are rolled out anew claims are prepared all the time, no
// ResourceSlice goes, and what runs keeps its device.
func TestUpgrade(t *testing.T) {
	claiming(t, "stays", "gpu", 3600)
	given(t, "stays", "gpu")
	before := prepared(t, "g")
	watching, stop := context.WithCancel(t.Context())
	defer stop()
	slices, err := shared.Client().ResourceV1().ResourceSlices().Watch(watching, metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- rollingOut("rollout", "restart", daemonset) }()
	ran, longest := 0, time.Duration(0)
	for running := true; running; ran++ {
		begin := time.Now()
		name := fmt.Sprint("passes-", ran)
		claiming(t, name, "npu", 0)
		phase(t, name, corev1.PodSucceeded)
		longest = max(longest, time.Since(begin))
		select {
		case err := <-done:
			do(t, err)
			running = false
		default:
		}
	}
	t.Logf("%d pods came and went during the rollout, the longest took %s", ran, longest.Round(10*time.Millisecond))
	if ran < 3 {
		t.Errorf("only %d pods ran during the rollout: nothing is tested", ran)
	}
	stop()
	for event := range slices.ResultChan() {
		if event.Type == watch.Deleted {
			t.Errorf("a ResourceSlice went: %v", event.Object)
		}
	}
	eventually(t, "each kubelet has registered the one driver of its node", registered)
	noneFailed(t, "passes-")
	if after := prepared(t, "g"); len(before) != 1 || fmt.Sprint(after) != fmt.Sprint(before) {
		t.Errorf("prepared were %v, and are %v", before, after)
	}
	given(t, "stays", "gpu")
	remove(t, "stays")
	nothingPrepared(t, "g")
	nothingPrepared(t, "n")
}

// noneFailed fails the test where a kubelet could not have the claim of a pod prepared
// whose name begins so.
func noneFailed(t *testing.T, prefix string) {
	t.Helper()
	events, err := shared.Client().CoreV1().Events(metav1.NamespaceDefault).List(t.Context(), metav1.ListOptions{FieldSelector: "reason=FailedPrepareDynamicResources"})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range events.Items {
		if strings.HasPrefix(e.InvolvedObject.Name, prefix) {
			t.Errorf("%s: %s", e.InvolvedObject.Name, e.Message)
		}
	}
}

// TestNoCDI: on a node whose containerd would start containers without their device,
// nothing is published, and the metrics say why.
func TestNoCDI(t *testing.T) {
	eventually(t, "the reason is given", func(ctx context.Context) error {
		values, err := metrics(ctx, old)
		if err != nil {
			return err
		}
		for _, kind := range []string{"CPU", "GPU", "NPU", "FPGA"} {
			if values[fmt.Sprintf(`heteroaccel_device_driver_withheld{kind=%q,node=%q,reason="runtime_without_cdi"}`, kind, old)] != 1 {
				return fmt.Errorf("nothing is said of %s: %v", kind, values)
			}
			if n, ok := values[fmt.Sprintf("heteroaccel_device_driver_devices{kind=%q,node=%q}", kind, old)]; !ok || n != 0 {
				return errors.New("devices are said to be published")
			}
		}
		return nil
	})
	if published, err := shared.Published(t.Context(), old); err != nil || len(published) > 0 {
		t.Errorf("node %s publishes %q, %v", old, published, err)
	}
	t.Logf("the runtimes are %s there, and %s", runtimeOf(t, old), runtimeOf(t, "g"))
}

func runtimeOf(t *testing.T, name string) string {
	t.Helper()
	node, err := shared.Client().CoreV1().Nodes().Get(t.Context(), name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return node.Status.NodeInfo.ContainerRuntimeVersion
}
