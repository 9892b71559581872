//go:build cluster

package edge

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"heteroaccel.io/e2e/realnodes"
	"heteroaccel.io/e2e/stack"
	"heteroaccel.io/pkg/accel"
)

// TestJob follows one inference from its Job to its end: image, flag and device
// in the container, the kubelet's allocation, what the exporter, Prometheus and
// the extender show of it, and that they show it no more afterwards.
func TestJob(t *testing.T) {
	watchAllocations(t)
	since := metav1.Now()
	job(t, "find-faces", "face-recognition", "gpu,npu,fpga", 15)
	pod := podIn(t, "find-faces", corev1.PodRunning)
	kind := kindOf(pod)
	node := nodeOf[kind]
	if pod.Spec.NodeName != node {
		t.Fatalf("a pod for the %s runs on node %s, want %s", kind, pod.Spec.NodeName, node)
	}
	container := pod.Spec.Containers[0]
	if want := "heteroaccel/face-recognition:" + strings.ToLower(string(kind)); container.Image != want {
		t.Errorf("it runs the image %s, want %s", container.Image, want)
	}
	flag := map[accel.Kind]string{"GPU": "-d GPU", "NPU": "-d NPU", "FPGA": "-d HETERO:FPGA,CPU"}[kind]
	if command := strings.Join(container.Command, " "); !strings.Contains(command, flag+" ") {
		t.Errorf("it runs %q, want %s in it", command, flag)
	}

	var device Device
	eventually(t, "the extender shows who holds the device", func(ctx context.Context) error {
		view, err := shared.Inventory(ctx)
		if err != nil {
			return err
		}
		var ok bool
		if device, ok = view.Device(node, kind); !ok || device.Allocated != 1 || len(device.Holders) != 1 || device.Holders[0].Pod != pod.Name {
			return fmt.Errorf("it shows %+v", device)
		}
		return nil
	})
	eventually(t, "the exporter shows who holds the device", func(ctx context.Context) error {
		return held(ctx, node, device.ID, pod.Name)
	})
	query := fmt.Sprintf("heteroaccel_device_holder_slots{id=%q}", device.ID)
	eventually(t, "Prometheus shows who holds the device", func(ctx context.Context) error {
		series, err := shared.Query(ctx, query)
		if err != nil {
			return err
		}
		if len(series) != 1 || series[0].Label("pod") != pod.Name || series[0].Label("node") != node || series[0].Value != 1 {
			return fmt.Errorf("it shows %v", series)
		}
		return nil
	})

	succeeded(t, "find-faces")
	log, err := shared.Kubectl(t.Context(), "logs", pod.Name)
	if err != nil {
		t.Fatal(err)
	}
	ids := allocations(t, node, realnodes.Resources[node], since)
	if len(ids) != 1 {
		t.Fatalf("the device plugin was asked for %v, want one device once", ids)
	}
	for _, want := range []string{ids[0], strings.TrimPrefix(flag, "-d "), "Throughput"} {
		if !strings.Contains(log, want) {
			t.Errorf("the container's log has no %q:\n%s", want, log)
		}
	}
	eventually(t, "the exporter shows the device free again", func(ctx context.Context) error {
		return held(ctx, node, device.ID, "")
	})
	eventually(t, "Prometheus shows the device free again", func(ctx context.Context) error {
		series, err := shared.Query(ctx, query)
		if err == nil && len(series) > 0 {
			err = fmt.Errorf("it shows %v", series)
		}
		return err
	})
}

// held returns nil when the node's exporter says that the pod, or nobody where
// pod is "", holds the device.
func held(ctx context.Context, node, id, pod string) error {
	list, err := shared.Client().CoreV1().Pods(stack.ExporterNamespace).List(ctx, metav1.ListOptions{
		LabelSelector: "app.kubernetes.io/name=heteroaccel-exporter", FieldSelector: "spec.nodeName=" + node,
	})
	if err != nil {
		return err
	}
	if len(list.Items) != 1 || list.Items[0].Status.PodIP == "" {
		return fmt.Errorf("node %s has %d exporters", node, len(list.Items))
	}
	metrics, err := shared.Get(ctx, fmt.Sprintf("http://%s:9817/metrics", list.Items[0].Status.PodIP))
	if err != nil {
		return err
	}
	allocated, holder := "", ""
	for line := range strings.Lines(metrics) {
		switch {
		case !strings.Contains(line, fmt.Sprintf("id=%q", id)):
		case strings.HasPrefix(line, "heteroaccel_device_allocated_slots{"):
			allocated = line[strings.LastIndex(line, " ")+1:]
		case strings.HasPrefix(line, "heteroaccel_device_holder_slots{"):
			holder = line
		}
	}
	want := "1"
	if pod == "" {
		want = "0"
	}
	if strings.TrimSpace(allocated) != want || (pod == "") != (holder == "") || !strings.Contains(holder, fmt.Sprintf("pod=%q", pod)) && pod != "" {
		return fmt.Errorf("%s slots are allocated, want %s; held by %q", strings.TrimSpace(allocated), want, holder)
	}
	return nil
}

// allocations are the ids the node's device plugin gave out, one for each call
// of Allocate, by its log.
func allocations(t *testing.T, node string, name corev1.ResourceName, since metav1.Time) []string {
	t.Helper()
	list, err := shared.Client().CoreV1().Pods("kube-system").List(t.Context(), metav1.ListOptions{
		LabelSelector: pluginLabel, FieldSelector: "spec.nodeName=" + node,
	})
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, p := range list.Items {
		log, err := shared.Kubectl(t.Context(), "-n", "kube-system", "logs", p.Name, "--since-time="+since.UTC().Format(time.RFC3339))
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(log) {
			var entry struct {
				Message  string   `json:"message"`
				Resource string   `json:"resource"`
				IDs      []string `json:"ids"`
			}
			if json.Unmarshal([]byte(line), &entry) == nil && entry.Message == pluginAllocated && entry.Resource == string(name) {
				out = append(out, strings.Join(entry.IDs, ","))
			}
		}
	}
	return out
}

// TestFourAtOnce: four inferences get four kinds, and a fifth, which may not
// run on a CPU, gets the first accelerator that frees.
func TestFourAtOnce(t *testing.T) {
	watchAllocations(t)
	names := []string{"face-recognition", "action-recognition", "text-recognition", "object-detection"}
	for i, name := range names {
		job(t, name, name, "any", []int{20, 30, 40, 40}[i])
	}
	kinds := map[accel.Kind]string{}
	for _, name := range names {
		pod := podIn(t, name, corev1.PodRunning)
		if other := kinds[kindOf(pod)]; other != "" {
			t.Errorf("%s and %s are both on a %s", other, name, kindOf(pod))
		}
		kinds[kindOf(pod)] = name
	}
	job(t, "fifth", "face-recognition", "gpu,npu,fpga", 3)
	waiting := podIn(t, "fifth", corev1.PodPending)
	if waiting.Spec.NodeName != "" {
		t.Fatalf("the fifth was bound to %s while every accelerator was taken", waiting.Spec.NodeName)
	}
	running := podIn(t, "fifth", corev1.PodRunning, corev1.PodSucceeded)
	before := kinds[kindOf(running)]
	if before == "" {
		t.Fatalf("the fifth runs on a %s", kindOf(running))
	}
	pods, err := podsOf(t.Context(), before)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range pods {
		if p.Status.Phase == corev1.PodRunning {
			t.Errorf("the fifth runs on the %s that %s still has", kindOf(running), p.Name)
		}
	}
	for _, name := range append(names, "fifth") {
		if j := succeeded(t, name); j.Status.Failed > 0 {
			t.Errorf("%s failed %d times before it succeeded", name, j.Status.Failed)
		}
	}
}

// TestTargets: Prometheus finds everything of ours by itself, and reaches it.
func TestTargets(t *testing.T) {
	want := map[string]int{"heteroaccel-exporter": 3, "heteroaccel": 5} // the latter: the extender, two webhooks and two connectors
	eventually(t, "Prometheus scrapes all", func(ctx context.Context) error {
		series, err := shared.Query(ctx, "up")
		if err != nil {
			return err
		}
		up := map[string]int{}
		for _, s := range series {
			if s.Value == 1 {
				up[s.Labels["job"]]++
			}
		}
		if !maps.Equal(up, want) {
			return fmt.Errorf("it reaches %v, want %v: %v", up, want, series)
		}
		return nil
	})
}
