package main

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"

	"heteroaccel.io/e2e/narrate"
	"heteroaccel.io/e2e/stack"
	"heteroaccel.io/pkg/accel"
)

const (
	anyFile    = "any-accelerator.yaml"
	pinnedFile = "pinned-to-gpu.yaml"
	inferences = 4
)

type demo struct {
	*stack.Stack
	narrate.Narrator
}

// anyAccelerator is the main job: four pods, four kinds.
func (d demo) anyAccelerator(ctx context.Context) error {
	narrate.Title("1. Four inferences that name no accelerator")
	if err := d.Create(ctx, anyFile); err != nil {
		return err
	}
	pods, err := d.Follow(ctx, inferences, func(pods []corev1.Pod) bool { return narrate.Count(pods, corev1.PodRunning) == inferences })
	if err != nil {
		return err
	}
	fmt.Println()
	kinds := map[string]bool{}
	for _, p := range pods {
		kinds[p.Annotations[accel.SelectedAnnotation]] = true
		narrate.Describe(p)
	}
	if len(kinds) != inferences {
		return fmt.Errorf("%w: the four pods run on %d kinds", narrate.ErrShown, len(kinds))
	}
	fmt.Printf("Four pods, %d kinds of accelerator, all Running.\n", len(kinds))
	return d.Remove(ctx, anyFile)
}

// pinned is what the same four come to without us.
func (d demo) pinned(ctx context.Context) error {
	narrate.Title("2. The same four, pinned to the GPU by hand")
	if err := d.Create(ctx, pinnedFile); err != nil {
		return err
	}
	pods, err := d.Follow(ctx, inferences, func(pods []corev1.Pod) bool {
		refused := 0
		for _, p := range pods {
			if narrate.Unschedulable(p) != "" {
				refused++
			}
		}
		return narrate.Count(pods, corev1.PodRunning) == 1 && refused == inferences-1
	})
	if err != nil {
		return err
	}
	fmt.Println()
	for _, p := range pods {
		if why := narrate.Unschedulable(p); why != "" {
			fmt.Println(narrate.Wrap("  "+p.Labels["batch.kubernetes.io/job-name"]+": ", why))
		}
	}
	fmt.Println("One Running, three Pending, while an FPGA, an NPU and three CPUs stand idle.")
	return d.Remove(ctx, pinnedFile)
}

// goOn leaves the four running and says how to look at them.
func (d demo) goOn(ctx context.Context) error {
	narrate.Title("3. Over to you")
	if err := d.Create(ctx, anyFile); err != nil {
		return err
	}
	pods, err := d.Follow(ctx, inferences, func(pods []corev1.Pod) bool { return narrate.Count(pods, corev1.PodRunning) == inferences })
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
