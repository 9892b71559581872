//go:build cluster

package installs

import (
	"context"
	"fmt"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"heteroaccel.io/e2e/stack"
	"heteroaccel.io/pkg/accel"
)

// upgraded follows a section of docs/upgrade.md, after which our pods have an image,
// while pods are reviewed, in dry runs. Refused may be none, or those of a time no longer
// than tolerated from the first to the last.
func upgraded(t *testing.T, section, image string, tolerated time.Duration) {
	t.Helper()
	load, end := context.WithCancel(t.Context())
	defer end()
	reviews, refused := 0, map[string]int{}
	var first, last time.Time // that were refused
	var group errgroup.Group
	group.Go(func() error {
		for load.Err() == nil {
			reviews++
			began := time.Now()
			if err := reviewed(load); err != nil && load.Err() == nil {
				refused[err.Error()]++
				if first.IsZero() {
					first = began
				}
				last = time.Now()
			}
		}
		return nil
	})
	follow(t, "docs/upgrade.md", section)
	eventually(t, "all pods have the new image", func(ctx context.Context) error { return haveImage(ctx, image) })
	follow(t, "docs/install.md", "4. Check")
	end()
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d reviews during the upgrade; refused within %s: %v", reviews, last.Sub(first).Round(time.Millisecond), refused)
	if len(refused) > 0 && last.Sub(first) > tolerated {
		t.Errorf("of %d reviews during the upgrade these were refused, within %s, want %s: %v", reviews, last.Sub(first), tolerated, refused)
	}
}

// reviewed has the API server review a pod that asks for an accelerator.
func reviewed(ctx context.Context) error {
	_, err := shared.Client().CoreV1().Pods(metav1.NamespaceDefault).Create(ctx, &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "review-", Annotations: map[string]string{
			accel.InferenceAnnotation: "face-recognition", accel.AcceleratorAnnotation: "any",
		}},
		Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "inference", Image: "heteroaccel/face-recognition"}}},
	}, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
	return err
}

// haveImage returns nil once every pod of ours has an image, and none is about to end.
func haveImage(ctx context.Context, image string) error {
	for _, namespace := range []string{stack.Namespace, stack.ExporterNamespace} {
		list, err := shared.Client().CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{})
		if err != nil {
			return err
		}
		for _, p := range list.Items {
			if has := p.Spec.Containers[0].Image; has != image {
				return fmt.Errorf("%s has the image %s", p.Name, has)
			}
		}
	}
	return nil
}

// upgradedTag is that of docs/upgrade.md.
const upgradedTag = "v0.1.1"
