package main

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"

	"heteroaccel.io/e2e/narrate"
	"heteroaccel.io/pkg/accel"
)

const (
	serverFile = "server.yaml"
	// revision is the variable by which the second revision of the server is known.
	revision = "REVISION"
)

// server is what becomes of a server whose Deployment rolls out its next revision: that is
// created while the first still holds the best accelerator, and gets it all the same.
func (d demo) server(ctx context.Context) error {
	narrate.Title("4. A server, and its next revision")
	pods, err := d.Run(ctx, serverFile, 1)
	if err != nil {
		return err
	}
	best := pods[0].Annotations[accel.SelectedAnnotation]
	fmt.Printf("\nIt runs on the %s. Its next revision:\n\n$ kubectl set env deployment/faces %s=2\n", best, revision)
	if said, err := d.Kubectl(ctx, "set", "env", "deployment/faces", revision+"=2"); err != nil {
		return fmt.Errorf("kubectl set env: %w: %s", err, said)
	}
	displaced := ""
	pods, err = d.Follow(ctx, 1, func(pods []corev1.Pod) bool {
		p := pods[0]
		if kind := p.Annotations[accel.SelectedAnnotation]; kind != best && isSecond(p) {
			displaced = kind
		}
		return p.Status.Phase == corev1.PodRunning && isSecond(p) && p.Annotations[accel.SelectedAnnotation] == best
	})
	if err != nil {
		return err
	}
	fmt.Println()
	fmt.Println(narrate.Wrap("  "+pods[0].Name+": ", pods[0].Annotations[accel.ReasonAnnotation]))
	if displaced == "" {
		displaced = "second best"
	}
	fmt.Printf("The first pod still held the %s when the second was created, so that got the\n%s. Once it was gone, a third one took its place, on the %s again.\n", best, displaced, best)
	return d.Remove(ctx, serverFile)
}

// isSecond reports whether a pod is of the second revision.
func isSecond(p corev1.Pod) bool {
	for _, e := range p.Spec.Containers[0].Env {
		if e.Name == revision {
			return true
		}
	}
	return false
}
