//go:build cluster

package installs

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"heteroaccel.io/e2e/certmanager"
	"heteroaccel.io/e2e/stack"
	"heteroaccel.io/pkg/accel"
)

// TestInstalls installs HeteroAccel in each way from nothing, checks it, runs the README's
// Job, and removes everything while that runs, with the commands of the pages.
func TestInstalls(t *testing.T) {
	for _, way := range []struct {
		name string
		// install, upgrade and remove are sections of docs/install.md, docs/upgrade.md and
		// docs/uninstall.md.
		install, upgrade, remove string
		// meanwhile is called once the objects are applied, and checked after the check.
		meanwhile, checked func(*testing.T)
	}{
		{name: "Helm", install: "Helm", upgrade: "With Helm", remove: "With Helm", checked: helmTests},
		{name: "standard", install: "Several nodes, with cert-manager", remove: "With kustomize: standard", meanwhile: certManagerComes},
		{name: "edge", install: "One node", remove: "With kustomize: edge"},
	} {
		t.Run(way.name, func(t *testing.T) {
			before := objects(t)
			follow(t, "docs/install.md", way.install)
			if way.meanwhile != nil {
				way.meanwhile(t)
			}
			configureScheduler(t)
			webhookReached(t)
			if said := follow(t, "docs/install.md", "4. Check"); !strings.Contains(said, " 0 wrong, 0 not checked\n") {
				t.Errorf("the check reports\n%s", said)
			}
			if way.checked != nil {
				way.checked(t)
			}
			pod := readmeRuns(t, shared.Root)
			imageState(t, "face-recognition", pod.Annotations[accel.SelectedAnnotation]+":pulled")
			if way.name == "edge" {
				imageFails(t)
				pageFollows(t)
			}
			noRestarts(t)
			if way.upgrade != "" {
				upgraded(t, way.upgrade, "registry.example/heteroaccel/heteroaccel:"+upgradedTag, 0)
				leftAlone(t, pod)
			}

			removed(t, way.remove, before, pod)
		})
	}
	t.Run("standard, from the revision before", func(t *testing.T) {
		comesFromBefore(t, "standard", func(t *testing.T) { startCertManager(t) })
	})
	t.Run("edge, from the revision before", func(t *testing.T) { comesFromBefore(t, "edge", nil) })
	t.Run("without a registry", airGapped)
}

// helmTests: the check says from inside what it said from outside, and leaves nothing.
func helmTests(t *testing.T) {
	before := objects(t)
	said := follow(t, "docs/install.md", "From inside, with Helm")
	if !strings.Contains(said, " 0 wrong, 0 not checked\n") {
		t.Errorf("helm test says\n%s", said)
	}
	left(t, before, nil)
}

// removed follows a section of docs/uninstall.md while the README's Job runs: nothing
// stays that came since before, but the CRD and the profiles, which go next.
func removed(t *testing.T, section string, before map[string]bool, pod corev1.Pod) {
	t.Helper()
	follow(t, "docs/uninstall.md", section)
	if err := shared.RestartScheduler(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	leftAlone(t, pod)
	left(t, before, []string{
		"APIService v1alpha1.heteroaccel.io", "CustomResourceDefinition inferenceprofiles.heteroaccel.io",
		"InferenceProfile action-recognition", "InferenceProfile face-recognition",
		"InferenceProfile object-detection", "InferenceProfile text-recognition",
		"Job default/find-faces", "Pod default/" + pod.Name,
	})
	follow(t, "docs/uninstall.md", "The CRD and the profiles")
	completes(t, pod)
	if err := shared.Run(t.Context(), "delete", "job", "find-faces"); err != nil {
		t.Fatal(err)
	}
	left(t, before, nil)
}

// certManagerComes: cert-manager is started after us. The webhook's pods wait for their
// Secret until then.
func certManagerComes(t *testing.T) {
	eventually(t, "the webhook's pods wait for the Secret", func(ctx context.Context) error {
		events, err := shared.Client().CoreV1().Events(stack.Namespace).List(ctx, metav1.ListOptions{FieldSelector: "reason=FailedMount"})
		if err == nil && !slices.ContainsFunc(events.Items, func(e corev1.Event) bool { return strings.Contains(e.Message, stack.WebhookSecret) }) {
			err = errors.New("no Event tells of it")
		}
		return err
	})
	startCertManager(t)
}

// startCertManager runs it until the test ends.
func startCertManager(t *testing.T) {
	t.Helper()
	if err := certmanager.Run(t.Context(), shared.Cluster); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { certmanager.Stop(shared.Cluster) })
}

// configureScheduler has kube-scheduler run with the file that the command line program
// writes for it.
func configureScheduler(t *testing.T) {
	t.Helper()
	kubeconfig, err := shared.KubeconfigFor("system:kube-scheduler")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	run(t, fmt.Sprintf("bin/heteroaccel scheduler-config --for kubeadm --to %s --scheduler-kubeconfig %s", dir, kubeconfig))
	if err := shared.RestartSchedulerWith(t.Context(), filepath.Join(dir, "kube-scheduler.yaml")); err != nil {
		t.Fatal(err)
	}
}

// readmeRuns creates the Job of the README of a tree, and returns its pod once that runs.
func readmeRuns(t *testing.T, root string) (pod corev1.Pod) {
	t.Helper()
	if said, err := shared.KubectlInput(t.Context(), readmeJob(t, root), "create", "-f", "-"); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	eventually(t, "the README's Job runs", func(ctx context.Context) error {
		list, err := shared.Client().CoreV1().Pods(metav1.NamespaceDefault).List(ctx, metav1.ListOptions{LabelSelector: batchv1.JobNameLabel + "=find-faces"})
		if err != nil {
			return err
		}
		if len(list.Items) != 1 || list.Items[0].Status.Phase != corev1.PodRunning {
			return fmt.Errorf("its pods are %v", list.Items)
		}
		pod = list.Items[0]
		return nil
	})
	kind := pod.Annotations[accel.SelectedAnnotation]
	if want := "heteroaccel/face-recognition:" + strings.ToLower(kind); kind == "" || pod.Spec.Containers[0].Image != want {
		t.Errorf("it has the kind %q and the image %q", kind, pod.Spec.Containers[0].Image)
	}
	return pod
}

// imageState waits until kubectl shows what became of the image of one variant of a profile,
// such as "GPU:pulled".
func imageState(t *testing.T, name, want string) {
	t.Helper()
	eventually(t, "kubectl get infp shows "+want, func(ctx context.Context) error {
		said, err := shared.Kubectl(ctx, "get", "infp", name)
		if err == nil && !strings.Contains(said, want) {
			err = fmt.Errorf("it shows\n%s", said)
		}
		return err
	})
}

// imageFails: of a profile whose only image no kubelet can pull, kubectl shows the
// kubelet's words, and it is not usable.
func imageFails(t *testing.T) {
	t.Helper()
	apply := func(object string) {
		if said, err := shared.KubectlInput(t.Context(), object, "apply", "-f", "-"); err != nil {
			t.Fatalf("%v: %s", err, said)
		}
	}
	apply(`{"apiVersion": "heteroaccel.io/v1alpha1", "kind": "InferenceProfile", "metadata": {"name": "no-image"},
		"spec": {"variants": [{"accelerator": "CPU", "image": "registry.invalid/nobody/has:this", "limits": {"cpu": "100m"}}]}}`)
	run(t, "kubectl wait infp/no-image --for=condition=Usable --timeout=60s")
	apply(`{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "no-image", "namespace": "default",
		"annotations": {"heteroaccel.io/inference": "no-image", "heteroaccel.io/accelerator": "any"}},
		"spec": {"containers": [{"name": "inference", "image": "mine"}], "terminationGracePeriodSeconds": 0}}`)
	imageState(t, "no-image", "CPU:failed")
	run(t, "kubectl wait infp/no-image --for=condition=Usable=false --timeout=60s")
	if said := run(t, "kubectl get infp no-image -o wide"); !strings.Contains(said, "no image could be pulled") || !strings.Contains(said, "registry.invalid") {
		t.Errorf("it says\n%s", said)
	}
	run(t, "kubectl delete pod/no-image infp/no-image")
}

// noRestarts: nothing of ours was started twice.
func noRestarts(t *testing.T) {
	t.Helper()
	seen := 0
	for _, namespace := range []string{stack.Namespace, stack.ExporterNamespace} {
		list, err := shared.Client().CoreV1().Pods(namespace).List(t.Context(), metav1.ListOptions{})
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range list.Items {
			for _, c := range p.Status.ContainerStatuses {
				seen++
				if c.RestartCount > 0 {
					t.Errorf("%s of %s was restarted %d times: %v", c.Name, p.Name, c.RestartCount, c.LastTerminationState)
				}
			}
		}
	}
	if seen < 5 { // three exporters, a webhook and an extender
		t.Errorf("only %d containers of ours run", seen)
	}
}

// leftAlone: a pod that runs does not notice.
func leftAlone(t *testing.T, pod corev1.Pod) {
	t.Helper()
	now, err := shared.Client().CoreV1().Pods(pod.Namespace).Get(t.Context(), pod.Name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]any{pod.UID, pod.Annotations, pod.Spec}, []any{now.UID, now.Annotations, now.Spec}); diff != "" {
		t.Errorf("the pod of before was changed (-want +got):\n%s", diff)
	}
	if s := now.Status; s.Phase != corev1.PodRunning && s.Phase != corev1.PodSucceeded || s.ContainerStatuses[0].RestartCount > 0 {
		t.Errorf("the pod of before is %s, and was restarted %d times", s.Phase, s.ContainerStatuses[0].RestartCount)
	}
}

// completes waits until the README's Job ended well, with the pod that it had.
func completes(t *testing.T, pod corev1.Pod) {
	t.Helper()
	eventually(t, "the README's Job completes", func(ctx context.Context) error {
		job, err := shared.Client().BatchV1().Jobs(metav1.NamespaceDefault).Get(ctx, "find-faces", metav1.GetOptions{})
		if err == nil && job.Status.Succeeded != 1 {
			err = fmt.Errorf("its state is %v", job.Status)
		}
		return err
	})
	leftAlone(t, pod)
}
