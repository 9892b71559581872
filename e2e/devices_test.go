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

	"heteroaccel.io/e2e/stack"
)

// TestFailures is what happens when devices, nodes and our own programs fail.
func TestFailures(t *testing.T) {
	s := borrow(t, impatient)
	tests := []shared{
		{"quota", quota},
		{"unhealthy", unhealthy},
		{"driver gone", driverGone},
		{"used outside", usedOutside},
		{"stale", stale},
		{"kubelet away", kubeletAway},
		{"webhook away", webhookAway},
		{"extender away", extenderAway},
		{"extender vanishes", extenderVanishes},
		{"webhook killed in a burst", burst},
		{"two replicas", twoReplicas},
	}
	if long {
		tests = append(tests, shared{"leader through a burst", leaderThroughBurst})
	}
	runShared(t, s, tests)
}

// unhealthy: a device that its plugin calls unhealthy, before the kubelet has
// told the API server.
func unhealthy(t *testing.T, s *stack.Stack) {
	g := s.Machine("g")
	withoutGPU(t, s, "unhealthy", "GPU 0000:00:02.0 is unhealthy",
		func() error { return g.SetHealthy("card0", false) },
		func() error { return g.SetHealthy("card0", true) })
}

// driverGone: the kernel has lost a device that its plugin goes on serving.
func driverGone(t *testing.T, s *stack.Stack) {
	g := s.Machine("g")
	withoutGPU(t, s, "unhealthy", "GPU 0000:00:02.0 is unhealthy",
		func() error { return g.Unbind("card0") },
		func() error { return g.Bind("card0") })
}

// usedOutside: a device that a process outside Kubernetes has open.
func usedOutside(t *testing.T, s *stack.Stack) {
	g := s.Machine("g")
	withoutGPU(t, s, "external (benchmark_app)", "GPU 0000:00:02.0 is used outside Kubernetes by benchmark_app",
		func() error { return g.UseExternally("card0", "benchmark_app") },
		func() error { return g.Release("card0") })
}

// withoutGPU takes the GPU of node g away in a manner that only the exporter
// sees: it is not chosen, and who wants nothing else waits and is told why,
// until it is back.
func withoutGPU(t *testing.T, s *stack.Stack, state, why string, take, giveBack func() error) {
	t.Helper()
	if err := take(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := giveBack(); err != nil {
			t.Error(err)
		}
	}()
	nodeSays(t, s, "g", state)
	flexible := anyPod("flexible", "face-recognition", "any")
	eventuallyWould(t, s, flexible, "NPU")
	flexible = create(t, s, flexible)
	wantKind(t, flexible, "NPU")
	running(t, s, flexible)

	p := create(t, s, anyPod("gpu-only", "face-recognition", "gpu"))
	wantKind(t, p, "GPU")
	if !strings.Contains(reason(p), "waits for GPU (0 of 1 free)") {
		t.Errorf("the reason does not say that it waits: %s", reason(p))
	}
	eventually(t, func(ctx context.Context) error { return told(ctx, s, p, why) })
	podSays(t, s, p, why)
	if node := get(t, s, p).Spec.NodeName; node != "" {
		t.Fatalf("it was bound to %s", node)
	}

	if err := giveBack(); err != nil {
		t.Fatal(err)
	}
	// kube-scheduler may try again by itself before anybody sees the device
	// idle, so what counts is that the exporter no longer says why not.
	nodeNoLongerSays(t, s, "g", state)
	// Telemetry is no event for kube-scheduler: it tries again when a pod or a
	// node changes, as this one does.
	touch := []byte(`{"metadata":{"annotations":{"e2e.heteroaccel.io/touched":"yes"}}}`)
	if _, err := s.Client().CoreV1().Pods(p.Namespace).Patch(t.Context(), p.Name, types.MergePatchType, touch, metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	if node := running(t, s, p).Spec.NodeName; node != "g" {
		t.Errorf("it runs on %s, want g", node)
	}
}

// told looks for kube-scheduler's event about a pod.
func told(ctx context.Context, s *stack.Stack, p *corev1.Pod, why string) error {
	events, err := s.Client().EventsV1().Events(p.Namespace).List(ctx, metav1.ListOptions{
		FieldSelector: "reason=FailedScheduling,regarding.uid=" + string(p.UID),
	})
	if err != nil {
		return err
	}
	var notes []string
	for _, e := range events.Items {
		if strings.Contains(e.Note, why) {
			return nil
		}
		notes = append(notes, e.Note)
	}
	return fmt.Errorf("no event of pod %s says %q: %q", p.Name, why, notes)
}

// stale: with every exporter gone, work goes on by Kubernetes' own accounting.
func stale(t *testing.T, s *stack.Stack) {
	for _, m := range s.Machines {
		s.Process("exporter-" + m.Name).Kill()
	}
	for _, m := range s.Machines {
		nodeSays(t, s, m.Name, "stale")
	}
	staleNodes := func(want float64) func(context.Context) error {
		return func(ctx context.Context) error {
			got, err := metricOf(ctx, s, "extender status", "heteroaccel_extender_stale_nodes")
			if err == nil && got != want {
				err = fmt.Errorf("the extender counts %v stale nodes, want %v", got, want)
			}
			return err
		}
	}
	eventually(t, staleNodes(3))
	eventually(t, func(ctx context.Context) error {
		age, err := metric(ctx, s, `heteroaccel_telemetry_age_seconds{node="g"}`)
		if err == nil && age <= 4 {
			err = fmt.Errorf("the webhook's telemetry of g is %v s old", age)
		}
		return err
	})
	for i, want := range []string{"GPU", "NPU", "FPGA", "CPU"} {
		p := create(t, s, anyPod(fmt.Sprintf("stale-%d", i), "face-recognition", "any"))
		wantKind(t, p, want)
		running(t, s, p)
	}

	for _, m := range s.Machines {
		if err := s.StartExporter(m.Name); err != nil {
			t.Fatal(err)
		}
	}
	for _, m := range s.Machines {
		nodeSays(t, s, m.Name, "fresh")
	}
	eventually(t, staleNodes(0))
	nodeSays(t, s, "g", "default/stale-0 (inference)")
}

// kubeletAway: without the PodResources socket an allocation is unknown, and
// never "idle".
func kubeletAway(t *testing.T, s *stack.Stack) {
	kubelet := s.Node("g").Kubelet
	answers := func(want float64) func(context.Context) error {
		return func(ctx context.Context) error {
			got, err := metricOf(ctx, s, "exporter-g", `heteroaccel_scrape_collector_success{collector="podresources",node="g"}`)
			if err == nil && got != want {
				err = fmt.Errorf("the exporter's success with the kubelet is %v, want %v", got, want)
			}
			return err
		}
	}
	eventually(t, answers(1))
	kubelet.Stop()
	defer func() {
		if err := kubelet.Start(); err != nil {
			t.Error(err)
		}
	}()
	eventually(t, answers(0))
	text, err := stack.Get(t.Context(), s.URL("exporter-g", "/metrics"))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(text, "heteroaccel_device_healthy{") || strings.Contains(text, "heteroaccel_device_allocated_slots{") {
		t.Errorf("without the kubelet the exporter should show the GPU, and not how it is allocated:\n%s", text)
	}
	nodeSays(t, s, "g", "the kubelet could not be asked")
	text, err = stack.Get(t.Context(), s.URL("extender", "/nodes/g"))
	if err == nil && strings.Contains(text, "idle") {
		err = errors.New("it is called idle")
	}
	if err != nil {
		t.Errorf("/nodes/g: %v\n%s", err, text)
	}
	p := create(t, s, anyPod("unasked", "face-recognition", "any"))
	wantKind(t, p, "GPU")
	running(t, s, p)

	if err := kubelet.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, answers(1))
	nodeSays(t, s, "g", "default/unasked (inference)")
}
