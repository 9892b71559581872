package e2e

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"heteroaccel.io/e2e/stack"
)

// profilesUsable: kubectl says of a profile whether it is usable here, and waits until it
// is: nodes that have what it takes, and its image as the kubelets find it.
func profilesUsable(t *testing.T, s *stack.Stack) {
	const name = "usable"
	const profile = `{"apiVersion": "heteroaccel.io/v1alpha1", "kind": "InferenceProfile", "metadata": {"name": "usable"}, "spec": {"variants": [
		{"accelerator": "GPU", "image": "usable:gpu", "limits": {"nobody.example.com/gpu": "1"}}]}}`
	if said, err := s.KubectlInput(t.Context(), profile, "apply", "-f", "-"); err != nil {
		t.Fatal(err, said)
	}
	t.Cleanup(func() { _, _ = s.Kubectl(context.WithoutCancel(t.Context()), "delete", "inferenceprofile", name) })
	waits := func(condition, want string) {
		t.Helper()
		kubectl(t, s, "wait", "infp/"+name, "--for=condition=Usable="+condition, "--timeout=60s")
		if said := kubectl(t, s, "get", "infp", name, "-o", `jsonpath={.status.conditions[?(@.type=="Usable")].message}`); !strings.Contains(said, want) {
			t.Errorf("Usable is %s as %q, want %q", condition, said, want)
		}
	}
	listed := func(want string) {
		t.Helper()
		eventually(t, func(ctx context.Context) error {
			said, err := s.Kubectl(ctx, "get", "infp", name, "--no-headers")
			if err == nil && !regexp.MustCompile(`(?m)^`+name+` +`+want+` `).MatchString(said) {
				err = fmt.Errorf("%s is listed as\n%s, want %s", name, said, want)
			}
			return err
		})
	}
	waits("false", "no node has what a variant takes, which is nobody.example.com/gpu (GPU): pods that request it wait until one comes")
	listed("False +GPU:0 +GPU:-")

	kubectl(t, s, "patch", "infp", name, "--type=json", "-p", `[{"op": "add", "path": "/spec/variants/-", "value": {"accelerator": "CPU", "image": "usable:cpu", "limits": {"cpu": "100m"}}}]`)
	waits("true", "pods can request it")

	p := create(t, s, anyPod("usable", name, "cpu"))
	kubelet := func(status corev1.ContainerStatus) {
		t.Helper()
		eventually(t, func(ctx context.Context) error {
			now, err := s.Client().CoreV1().Pods(p.Namespace).Get(ctx, p.Name, metav1.GetOptions{})
			if err != nil {
				return err
			}
			if len(now.Status.ContainerStatuses) == 0 {
				return fmt.Errorf("%s has no container yet: %s", p.Name, now.Status.Phase)
			}
			status.Name, status.Image = now.Status.ContainerStatuses[0].Name, now.Spec.Containers[0].Image
			now.Status.ContainerStatuses[0] = status
			_, err = s.Client().CoreV1().Pods(p.Namespace).UpdateStatus(ctx, now, metav1.UpdateOptions{})
			return err
		})
	}
	listed(`True +GPU:0,CPU:\d+ +GPU:-,CPU:pulled`)
	const why = `Back-off pulling image "usable:cpu": ErrImagePull: not found`
	kubelet(corev1.ContainerStatus{State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ImagePullBackOff", Message: why}}})
	listed(`True +GPU:0,CPU:\d+ +GPU:-,CPU:failed`)
	if said := kubectl(t, s, "get", "infp", name, "-o", "jsonpath={.status.variants[1].imageError}"); said != why {
		t.Errorf("the error is %q, want the kubelet's words", said)
	}
	kubelet(corev1.ContainerStatus{ImageID: "sha256:1", State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: metav1.Now()}}})
	listed(`True +GPU:0,CPU:\d+ +GPU:-,CPU:pulled`)
}
