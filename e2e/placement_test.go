package e2e

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"heteroaccel.io/e2e/cluster"
	"heteroaccel.io/e2e/stack"
)

// TestFourAtOnce is the main job: four Jobs of the paper, created at once with
// plain kubectl, land on four different accelerators.
func TestFourAtOnce(t *testing.T) {
	s := borrow(t, paper)
	root, err := cluster.Root()
	if err != nil {
		t.Fatal(err)
	}
	if said, err := s.Kubectl(t.Context(), "create", "-f", filepath.Join(root, "deploy", "examples", "any-accelerator.yaml")); err != nil {
		t.Fatalf("kubectl create: %v: %s", err, said)
	}
	var pods []corev1.Pod
	eventually(t, func(ctx context.Context) error {
		list, err := s.Client().CoreV1().Pods(metav1.NamespaceDefault).List(ctx, metav1.ListOptions{})
		if err != nil {
			return err
		}
		pods = list.Items
		n := 0
		for _, p := range pods {
			if p.Status.Phase == corev1.PodRunning {
				n++
			}
		}
		if n != 4 {
			return fmt.Errorf("%d pods of 4 run", n)
		}
		return nil
	})

	// What each kind's variant is, for the node that has such a device.
	want := map[string]struct{ node, resource, flag, tag string }{
		"GPU":  {"g", "gpu.intel.com/i915", "-d GPU ", ":gpu"},
		"NPU":  {"n", "vpu.intel.com/hddl", "-d MYRIAD ", ":npu"},
		"FPGA": {"f", "fpga.intel.com/arria10.dcp1.2-nlb0", "-d HETERO:FPGA,CPU ", ":fpga"},
		"CPU":  {"", "", "-d CPU ", ":cpu"},
	}
	got := map[string]bool{}
	for _, p := range pods {
		k := kind(&p)
		got[k] = true
		w, c := want[k], p.Spec.Containers[0]
		if w.node != "" && p.Spec.NodeName != w.node {
			t.Errorf("%s runs on node %s, want %s", k, p.Spec.NodeName, w.node)
		}
		wantDevices := map[string]int64{}
		if w.resource != "" {
			wantDevices[w.resource] = 1
		}
		if diff := cmp.Diff(wantDevices, devices(&p)); diff != "" {
			t.Errorf("%s: devices (-want +got):\n%s", k, diff)
		}
		if command := strings.Join(c.Command, " "); !strings.Contains(command, w.flag) {
			t.Errorf("%s: command %q does not contain %q", k, command, w.flag)
		}
		if !strings.HasSuffix(c.Image, w.tag) {
			t.Errorf("%s: image %q does not end in %q", k, c.Image, w.tag)
		}
		if !strings.Contains(reason(&p), k) {
			t.Errorf("%s: the reason %q does not name the kind", k, reason(&p))
		}
		explained(t, s, &p)
	}
	if len(got) != 4 {
		t.Errorf("the four pods run on %v, want four kinds", got)
	}
	announced(t, s, pods)
	t.Run("probes", func(t *testing.T) { probesAnswer(t, s) })
	tidy(t, s) // the pages show what is chosen when all is idle
	t.Run("README", func(t *testing.T) { readmeWorks(t, s) })
	t.Run("pages", func(t *testing.T) { pagesWork(t, s) })
}

// explained checks that a pod's choice can be read at the extender's endpoint.
func explained(t *testing.T, s *stack.Stack, p *corev1.Pod) {
	t.Helper()
	text, err := stack.Get(t.Context(), s.URL("extender", "/pods/default/"+p.Name))
	if err != nil {
		t.Fatal(err)
	}
	// The text may be wrapped: compare word by word.
	if !strings.Contains(strings.Join(strings.Fields(text), " "), reason(p)) {
		t.Errorf("/pods/default/%s does not give the reason %q:\n%s", p.Name, reason(p), text)
	}
}

// announced checks that a pod which has to wait is told why in an Event, and that pods
// before it, which had not to, have none.
func announced(t *testing.T, s *stack.Stack, before []corev1.Pod) {
	t.Helper()
	p := create(t, s, anyPod("has-to-wait", "face-recognition", "gpu"))
	told := func(ctx context.Context, p *corev1.Pod) ([]eventsv1.Event, error) {
		events, err := s.Client().EventsV1().Events(p.Namespace).List(ctx, metav1.ListOptions{
			FieldSelector: "reason=AcceleratorSelected,regarding.uid=" + string(p.UID),
		})
		if err != nil {
			return nil, err
		}
		return events.Items, nil
	}
	eventually(t, func(ctx context.Context) error {
		events, err := told(ctx, p)
		if err == nil && (len(events) != 1 || !strings.Contains(events[0].Note, reason(p))) {
			err = fmt.Errorf("pod %s has %d events AcceleratorSelected", p.Name, len(events))
		}
		return err
	})
	for i := range before {
		if events, err := told(t.Context(), &before[i]); err != nil || len(events) > 0 {
			t.Errorf("pod %s has %d events AcceleratorSelected: %v", before[i].Name, len(events), err)
		}
	}
}

// createMany creates n pods from 16 goroutines at once.
func createMany(t *testing.T, s *stack.Stack, n int, kinds string) {
	t.Helper()
	inferences := []string{"face-recognition", "action-recognition", "text-recognition", "object-detection"}
	var wg sync.WaitGroup
	next := make(chan int)
	for range 16 {
		wg.Go(func() {
			for i := range next {
				p := anyPod(fmt.Sprintf("pod-%03d", i), inferences[i%len(inferences)], kinds)
				if _, err := s.Client().CoreV1().Pods(p.Namespace).Create(t.Context(), p, metav1.CreateOptions{}); err != nil {
					t.Errorf("create %s: %v", p.Name, err)
				}
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	wg.Wait()
}

// settled waits until exactly want pods are bound and the rest were found
// unschedulable, and returns all.
func settled(t *testing.T, s *stack.Stack, total, want int) []corev1.Pod {
	t.Helper()
	var pods []corev1.Pod
	eventually(t, func(ctx context.Context) error {
		list, err := s.Client().CoreV1().Pods(metav1.NamespaceDefault).List(ctx, metav1.ListOptions{})
		if err != nil {
			return err
		}
		pods = list.Items
		bound, refused := 0, 0
		for _, p := range pods {
			if p.Status.Phase == corev1.PodRunning {
				bound++
			}
			if unschedulable(&p) != "" {
				refused++
			}
		}
		if bound != want || bound+refused != total {
			return fmt.Errorf("%d pods run and %d were found unschedulable, want %d and %d", bound, refused, want, total-want)
		}
		return nil
	})
	return pods
}

// notOvercommitted checks every device resource, and the cores, of every node.
func notOvercommitted(t *testing.T, s *stack.Stack, pods []corev1.Pod) {
	t.Helper()
	used := map[string]map[string]int64{}
	cpu := map[string]int64{}
	for _, p := range pods {
		if p.Spec.NodeName == "" {
			continue
		}
		if used[p.Spec.NodeName] == nil {
			used[p.Spec.NodeName] = map[string]int64{}
		}
		for name, n := range devices(&p) {
			used[p.Spec.NodeName][name] += n
		}
		cpu[p.Spec.NodeName] += p.Spec.Containers[0].Resources.Requests.Cpu().MilliValue()
	}
	nodes, err := s.Client().CoreV1().Nodes().List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range nodes.Items {
		for name, count := range used[n.Name] {
			if has := n.Status.Allocatable[corev1.ResourceName(name)]; count > has.Value() {
				t.Errorf("node %s: %d × %s are given out of %s", n.Name, count, name, has.String())
			}
		}
		if has := n.Status.Allocatable.Cpu().MilliValue(); cpu[n.Name] > has {
			t.Errorf("node %s: %dm of %dm CPU are given out", n.Name, cpu[n.Name], has)
		}
	}
}

// TestManyOnDevices creates 200 pods at once for 100 devices.
func TestManyOnDevices(t *testing.T) {
	s := borrow(t, hundred)
	createMany(t, s, 200, "gpu,npu,fpga")
	pods := settled(t, s, 200, 100)
	notOvercommitted(t, s, pods)
	runs := map[string]int{}
	for _, p := range pods {
		if p.Spec.NodeName != "" {
			runs[kind(&p)]++
			continue
		}
		if !strings.Contains(reason(&p), "waits for "+kind(&p)) {
			t.Errorf("pod %s is Pending, and its reason does not say what it waits for: %s", p.Name, reason(&p))
		}
	}
	if diff := cmp.Diff(map[string]int{"GPU": 40, "NPU": 30, "FPGA": 30}, runs); diff != "" {
		t.Errorf("running by kind (-want +got):\n%s", diff)
	}
}

// TestManyOnAnything fills the accelerators and then the CPU slots: 16 cores
// a node, 2 for each slot.
func TestManyOnAnything(t *testing.T) {
	s := borrow(t, hundred)
	const cpuSlots = 10 * 16 / 2
	createMany(t, s, 200, "any")
	pods := settled(t, s, 200, 100+cpuSlots)
	notOvercommitted(t, s, pods)
	runs := map[string]int{}
	for _, p := range pods {
		if p.Spec.NodeName != "" {
			runs[kind(&p)]++
		}
	}
	if diff := cmp.Diff(map[string]int{"GPU": 40, "NPU": 30, "FPGA": 30, "CPU": cpuSlots}, runs); diff != "" {
		t.Errorf("running by kind (-want +got):\n%s", diff)
	}
}
