package main

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"heteroaccel.io/e2e/stack"
	"heteroaccel.io/pkg/accel"
)

const (
	anyFile    = "any-accelerator.yaml"
	pinnedFile = "pinned-to-gpu.yaml"
	inferences = 4
	// stepLimit is far more than any step needs on a busy machine.
	stepLimit = 2 * time.Minute
)

type demo struct {
	*stack.Stack
	examples string
}

// anyAccelerator is the main job: four pods, four kinds.
func (d demo) anyAccelerator(ctx context.Context) error {
	title("1. Four inferences that name no accelerator")
	if err := d.create(ctx, anyFile); err != nil {
		return err
	}
	pods, err := d.follow(ctx, func(pods []corev1.Pod) bool { return count(pods, corev1.PodRunning) == inferences })
	if err != nil {
		return err
	}
	fmt.Println()
	kinds := map[string]bool{}
	for _, p := range pods {
		kinds[p.Annotations[accel.SelectedAnnotation]] = true
		describe(p)
	}
	if len(kinds) != inferences {
		return fmt.Errorf("%w: the four pods run on %d kinds", errShown, len(kinds))
	}
	fmt.Printf("Four pods, %d kinds of accelerator, all Running.\n", len(kinds))
	return d.remove(ctx, anyFile)
}

// pinned is what the same four come to without us.
func (d demo) pinned(ctx context.Context) error {
	title("2. The same four, pinned to the GPU by hand")
	if err := d.create(ctx, pinnedFile); err != nil {
		return err
	}
	pods, err := d.follow(ctx, func(pods []corev1.Pod) bool {
		refused := 0
		for _, p := range pods {
			if unschedulable(p) != "" {
				refused++
			}
		}
		return count(pods, corev1.PodRunning) == 1 && refused == inferences-1
	})
	if err != nil {
		return err
	}
	fmt.Println()
	for _, p := range pods {
		if why := unschedulable(p); why != "" {
			fmt.Println(wrap("  "+p.Labels["batch.kubernetes.io/job-name"]+": ", why))
		}
	}
	fmt.Println("One Running, three Pending, while an FPGA, an NPU and three CPUs stand idle.")
	return d.remove(ctx, pinnedFile)
}

// goOn leaves the four running and says how to look at them.
func (d demo) goOn(ctx context.Context) error {
	title("3. Over to you")
	if err := d.create(ctx, anyFile); err != nil {
		return err
	}
	pods, err := d.follow(ctx, func(pods []corev1.Pod) bool { return count(pods, corev1.PodRunning) == inferences })
	if err != nil {
		return err
	}
	fmt.Printf(`
The four run again. In another terminal:

  export KUBECONFIG=%s
  alias kubectl=%s

  kubectl get pods -o wide
  kubectl get inferenceprofiles
  kubectl get pod %s -o yaml
  kubectl describe pod %s

  curl %s
  curl %s
  curl %s

Ctrl-C stops everything and leaves nothing behind.
`, d.Kubeconfig(), d.KubectlPath(), pods[0].Name, pods[0].Name,
		d.URL("extender", "/nodes"), d.URL("extender", "/pods/default/"+pods[0].Name), d.URL("extender", "/profiles"))
	return nil
}

func (d demo) create(ctx context.Context, file string) error {
	fmt.Printf("$ kubectl create -f deploy/examples/%s\n", file)
	said, err := d.Kubectl(ctx, "create", "-f", filepath.Join(d.examples, file))
	fmt.Print(said)
	if err != nil {
		return fmt.Errorf("create %s: %w", file, err)
	}
	return nil
}

// remove deletes what a file created and waits until its pods are gone.
func (d demo) remove(ctx context.Context, file string) error {
	if said, err := d.Kubectl(ctx, "delete", "-f", filepath.Join(d.examples, file)); err != nil {
		return fmt.Errorf("delete %s: %w: %s", file, err, said)
	}
	ctx, cancel := context.WithTimeout(ctx, stepLimit)
	defer cancel()
	for {
		pods, err := d.pods(ctx)
		if err != nil {
			return err
		}
		if len(pods) == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for the pods of %s to go: %w", file, context.Cause(ctx))
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// follow prints what becomes of the pods until done says that is enough.
func (d demo) follow(ctx context.Context, done func([]corev1.Pod) bool) ([]corev1.Pod, error) {
	ctx, cancel := context.WithTimeout(ctx, stepLimit)
	defer cancel()
	fmt.Println()
	fmt.Printf("%-7s %-28s %-9s %-6s %s\n", "AFTER", "POD", "STATUS", "KIND", "NODE")
	began, said := time.Now(), map[string]string{}
	for {
		pods, err := d.pods(ctx)
		if err != nil {
			return nil, err
		}
		for _, p := range pods {
			line := fmt.Sprintf("%-28s %-9s %-6s %s", p.Name, p.Status.Phase, kindOf(p), dash(p.Spec.NodeName))
			if said[p.Name] != line {
				said[p.Name] = line
				fmt.Printf("%-7s %s\n", time.Since(began).Round(10*time.Millisecond), line)
			}
		}
		if len(pods) == inferences && done(pods) {
			return pods, nil
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("%w: the pods did not get there: %w", errShown, context.Cause(ctx))
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// pods lists the pods of the default namespace by name.
func (d demo) pods(ctx context.Context) ([]corev1.Pod, error) {
	list, err := d.Client().CoreV1().Pods(metav1.NamespaceDefault).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, fmt.Errorf("list pods: %w", err)
	}
	slices.SortFunc(list.Items, func(a, b corev1.Pod) int { return a.CreationTimestamp.Compare(b.CreationTimestamp.Time) })
	return list.Items, nil
}
