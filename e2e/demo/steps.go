package main

import (
	"context"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"heteroaccel.io/e2e/narrate"
	"heteroaccel.io/e2e/stack"
)

const (
	anyFile    = "any-accelerator.yaml"
	pinnedFile = "pinned-to-gpu.yaml"
	inferences = 4
)

type demo struct {
	*stack.Stack
	narrate.Narrator
	late bool
}

// Stop implements narrate.Stage.
func (d demo) Stop() error {
	d.Stack.Stop()
	return nil
}

// Show implements narrate.Stage.
func (d demo) Show(ctx context.Context) error {
	for _, scene := range []func(context.Context) error{d.camera, d.typed, d.anyAccelerator} {
		if err := scene(ctx); err != nil {
			return err
		}
	}
	if d.late {
		return nil
	}
	if err := d.pinned(ctx); err != nil {
		return err
	}
	return d.server(ctx)
}

// anyAccelerator is the main job: four pods, four kinds.
func (d demo) anyAccelerator(ctx context.Context) error {
	narrate.Title("2. Four inferences that name no accelerator")
	pods, err := d.Run(ctx, anyFile, inferences)
	if err != nil {
		return err
	}
	fmt.Println()
	for _, p := range pods {
		narrate.Describe(p)
	}
	if err := narrate.DifferentKinds(pods); err != nil {
		return err
	}
	fmt.Printf("Four pods, %d kinds of accelerator, all Running.\n", inferences)
	if d.late {
		narrate.Title("3. One that waits gets what frees")
		if err := d.Move(ctx, pods); err != nil {
			return err
		}
		return d.Remove(ctx, anyFile, narrate.WaitsFile)
	}
	return d.Remove(ctx, anyFile)
}

// pinned is what the same four come to without us.
func (d demo) pinned(ctx context.Context) error {
	narrate.Title("3. The same four, pinned to the GPU by hand")
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

// Invite implements narrate.Stage.
func (d demo) Invite(ctx context.Context) error {
	if d.late {
		narrate.Title("4. Over to you")
	} else {
		narrate.Title("5. Over to you")
	}
	pods, err := d.Run(ctx, anyFile, inferences)
	if err != nil {
		return err
	}
	why := "curl " + d.URL("extender", "/pods/default/"+pods[0].Name)
	if d.late {
		// kube-scheduler asks the extender nothing of such pods.
		why = "kubectl get resourceclaims,resourceslices"
	}
	fmt.Printf(`
The four run again. In a browser: %s
In another terminal:

  export KUBECONFIG=%s
  alias kubectl=%s

  kubectl get pods -o wide
  kubectl get inferenceprofiles
  kubectl get pod %s -o yaml
  kubectl describe pod %s

  %s
  curl %s
  curl %s

  %s

Ctrl-C stops everything and leaves nothing behind.
`, d.URL("extender", "/ui"), d.Kubeconfig(), d.KubectlPath(), pods[0].Name, pods[0].Name,
		why, d.URL("extender", "/nodes"), d.URL("extender", "/profiles"),
		strings.ReplaceAll(ask(d.URL("connector", "")), "\n", "\n  "))
	return nil
}
