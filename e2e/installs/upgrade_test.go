//go:build cluster

package installs

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"heteroaccel.io/e2e/stack"
	"heteroaccel.io/pkg/accel"
)

// upgraded follows a section of docs/upgrade.md, which changes the tag of the image,
// while pods are reviewed, in dry runs, of which none may be refused.
func upgraded(t *testing.T, section string) {
	t.Helper()
	load, end := context.WithCancel(t.Context())
	defer end()
	reviews, refused := 0, map[string]int{}
	var group errgroup.Group
	group.Go(func() error {
		for load.Err() == nil {
			reviews++
			if err := reviewed(load); err != nil && load.Err() == nil {
				refused[err.Error()]++
			}
		}
		return nil
	})
	follow(t, "docs/upgrade.md", section)
	eventually(t, "all pods have the new image", newImages)
	follow(t, "docs/install.md", "4. Check")
	end()
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d reviews during the upgrade", reviews)
	if len(refused) > 0 {
		t.Errorf("of %d reviews during the upgrade these were refused: %v", reviews, refused)
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

// newImages returns nil once every pod of ours has the image of the upgrade.
func newImages(ctx context.Context) error {
	for _, namespace := range []string{stack.Namespace, stack.ExporterNamespace} {
		list, err := shared.Client().CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{})
		if err != nil {
			return err
		}
		for _, p := range list.Items {
			if image := p.Spec.Containers[0].Image; !strings.HasSuffix(image, ":"+upgradedTag) {
				return fmt.Errorf("%s has the image %s", p.Name, image)
			}
		}
	}
	return nil
}

// upgradedTag is that of docs/upgrade.md.
const upgradedTag = "v0.1.1"
