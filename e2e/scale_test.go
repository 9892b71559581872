package e2e

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/procfs"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"heteroaccel.io/e2e/machine"
	"heteroaccel.io/e2e/stack"
)

// BenchmarkMemory fills the API server with 5,000 nodes and 12,000 pods as they
// are in a real cluster, image lists, environment and managed fields included,
// and reports what the webhook and the extender hold of them: their own memory and
// their file's apart, before and then, and the most that was resident.
func BenchmarkMemory(b *testing.B) {
	const nodes, pods = 5000, 12000
	s, err := stack.Start(b.Context(), stack.Config{Machines: []*machine.Machine{}})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Stop()
	empty := memory(b, s)
	fill(b, nodes, func(ctx context.Context, i int) error {
		_, err := s.Client().CoreV1().Nodes().Create(ctx, largeNode(i), metav1.CreateOptions{})
		return err
	})
	fill(b, pods, func(ctx context.Context, i int) error {
		_, err := s.Client().CoreV1().Pods(metav1.NamespaceDefault).Create(ctx, largePod(i, nodes), metav1.CreateOptions{})
		return err
	})
	// Started anew, both take everything in by their first lists, which is
	// when they need the most.
	for _, program := range []string{"webhook", "extender"} {
		s.Process(program).Stop()
	}
	if err := s.StartExtender(b.Context()); err != nil {
		b.Fatal(err)
	}
	if err := s.StartWebhook(b.Context()); err != nil {
		b.Fatal(err)
	}
	full := memory(b, s)
	for program := range full {
		b.ReportMetric(empty[program][residentAnon]/1e6, program+"-empty-anon-MB")
		b.ReportMetric(empty[program][residentFile]/1e6, program+"-empty-file-MB")
		b.ReportMetric(full[program][residentAnon]/1e6, program+"-anon-MB")
		b.ReportMetric(full[program][residentFile]/1e6, program+"-file-MB")
		b.ReportMetric(peak(b, s, program)/1e6, program+"-peak-MB")
		b.ReportMetric(full[program]["go_memstats_heap_inuse_bytes"]/1e6, program+"-heap-MB")
	}
	b.ReportMetric(0, "ns/op")
}

// Resident memory is the process's own, or pages of the program's file, which the kernel
// has anyway while nobody else needs the room.
const residentAnon, residentFile = "anonymous", "file"

// statusOf reads /proc/PID/status of a program.
func statusOf(b *testing.B, s *stack.Stack, program string) procfs.ProcStatus {
	b.Helper()
	p, err := procfs.NewProc(s.Process(program).PID())
	if err != nil {
		b.Fatal(err)
	}
	found, err := p.NewStatus()
	if err != nil {
		b.Fatal(err)
	}
	return found
}

// peak is the most that was ever resident of a program.
func peak(b *testing.B, s *stack.Stack, program string) float64 {
	return float64(statusOf(b, s, program).VmHWM)
}

// memory reads what the two programs use: the least within ten seconds, as
// what they used to start with is handed back a moment after they are ready.
func memory(b *testing.B, s *stack.Stack) map[string]map[string]float64 {
	b.Helper()
	found := map[string]map[string]float64{"webhook": {}, "extender": {}}
	urls := map[string]string{
		"webhook": s.URL("webhook status", "/metrics"), "extender": s.URL("extender status", "/metrics"),
	}
	settled := time.After(10 * time.Second)
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for {
		for program, url := range urls {
			values, err := stack.Metrics(b.Context(), url)
			if err != nil {
				b.Fatal(err)
			}
			now := statusOf(b, s, program)
			values[residentAnon], values[residentFile] = float64(now.RssAnon), float64(now.RssFile)
			for name, value := range values {
				if least, ok := found[program][name]; !ok || value < least {
					found[program][name] = value
				}
			}
		}
		select {
		case <-settled:
			return found
		case <-tick.C:
		}
	}
}

// fill calls create for 0 to n−1, 32 at a time.
func fill(b *testing.B, n int, create func(context.Context, int) error) {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.Context(), 10*time.Minute)
	defer cancel()
	next := make(chan int)
	var wg sync.WaitGroup
	for range 32 {
		wg.Go(func() {
			for i := range next {
				if err := create(ctx, i); err != nil {
					b.Error(err)
				}
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	wg.Wait()
	if b.Failed() {
		b.FailNow()
	}
}

// largeNode is a node as a kubelet reports it: most of its 18 KB are images.
func largeNode(i int) *corev1.Node {
	list := corev1.ResourceList{
		"cpu": resource.MustParse("8"), "memory": resource.MustParse("32Gi"), "pods": resource.MustParse("110"),
		"ephemeral-storage": resource.MustParse("100Gi"), "gpu.intel.com/i915": resource.MustParse("1"),
	}
	n := &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("node-%05d", i), Labels: map[string]string{}, Annotations: map[string]string{}},
		Status:     corev1.NodeStatus{Capacity: list, Allocatable: list},
	}
	for l := range 20 {
		n.Labels[fmt.Sprintf("feature.node.kubernetes.io/label-%d", l)] = fmt.Sprintf("value-%d", l)
		n.Annotations[fmt.Sprintf("csi.example.com/annotation-%d", l)] = strings.Repeat("a", 60)
	}
	for im := range 50 {
		n.Status.Images = append(n.Status.Images, corev1.ContainerImage{
			Names:     []string{fmt.Sprintf("example/image-%d@sha256:%s", im, strings.Repeat("0", 64)), fmt.Sprintf("example/image-%d:v1", im)},
			SizeBytes: 1 << 28,
		})
	}
	return n
}

// largePod is bound already, so that no scheduling is waited for.
func largePod(i, nodes int) *corev1.Pod {
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Name: fmt.Sprintf("server-%06d", i), Namespace: metav1.NamespaceDefault,
			Labels:      map[string]string{"app": "server", "pod-template-hash": "5d9c7f8b6d"},
			Annotations: map[string]string{"prometheus.io/scrape": "true", "checksum/config": strings.Repeat("f", 64)},
		},
		Spec: corev1.PodSpec{NodeName: fmt.Sprintf("node-%05d", i%nodes)},
	}
	for c := range 2 {
		container := corev1.Container{Name: fmt.Sprintf("c%d", c), Image: "example/server:v1", Args: []string{"--verbose", "--port=8080"}}
		for e := range 40 {
			container.Env = append(container.Env, corev1.EnvVar{Name: fmt.Sprintf("SETTING_%d", e), Value: strings.Repeat("v", 60)})
		}
		container.Resources.Requests = corev1.ResourceList{"cpu": resource.MustParse("100m"), "memory": resource.MustParse("128Mi")}
		if c == 0 && i%5 == 0 {
			container.Resources.Limits = corev1.ResourceList{"gpu.intel.com/i915": resource.MustParse("1")}
		}
		p.Spec.Containers = append(p.Spec.Containers, container)
	}
	return p
}
