//go:build cluster

package installs

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	sigsyaml "sigs.k8s.io/yaml"

	"heteroaccel.io/e2e/image"
	"heteroaccel.io/e2e/realnodes"
	"heteroaccel.io/pkg/accel"
)

// overlaysBefore are what the overlays of these names were made of before they existed.
var overlaysBefore = map[string]map[string]any{
	"edge":     {"replicas": []map[string]any{{"name": "heteroaccel-webhook", "count": 1}}},
	"standard": {"components": []string{"certs", "deploy/extender-replicas"}},
}

// comesFromBefore installs the revision before as its pages said, has its README's Job run
// and other pods wait, and follows docs/upgrade.md to the overlay of a name: what runs is
// left alone, and what waits gets the first good device that frees.
func comesFromBefore(t *testing.T, overlay string, prepare func(*testing.T)) {
	was := objects(t)
	if prepare != nil {
		prepare(t)
	}
	run(t, "kubectl apply --server-side -k "+writeOverlay(t, overlay))
	run(t, "kubectl wait --for=condition=Established crd/inferenceprofiles.heteroaccel.io")
	// Its profiles, with the NPU that the nodes have.
	run(t, "kubectl apply --server-side -k e2e/edge/registry")
	configureScheduler(t)
	eventually(t, "the revision before answers reviews", reviewed)
	eventually(t, "all pods have its image", func(ctx context.Context) error { return haveImage(ctx, beforeImage) })
	gpu, npu := holds(t, "g"), holds(t, "n")
	pod := readmeRuns(t, before.Root)
	waits(t)

	// Replicas of the revision before forward nothing.
	upgraded(t, "With kustomize: "+overlay, "heteroaccel/heteroaccel:"+image.Version, 20*time.Second)
	leftAlone(t, pod)
	noRestarts(t)
	if err := reviewed(t.Context()); err != nil {
		t.Error(err)
	}
	// Both wait for the GPU: the one that gets the NPU was recreated, by its record.
	vacate(t, npu)
	eventually(t, "a pod that waits for the GPU gets the NPU", func(ctx context.Context) error { return haveRun(ctx, 1) })
	vacate(t, gpu)
	eventually(t, "the pods that waited have run", func(ctx context.Context) error { return haveRun(ctx, 2) })
	run(t, "kubectl delete pod,job -l app=waits")
	removed(t, "With kustomize: "+overlay, was, pod)
}

// writeOverlay writes an overlay as docs/install.md of then showed, and returns its folder.
func writeOverlay(t *testing.T, name string) string {
	t.Helper()
	dir := t.TempDir()
	at := func(folder string) string {
		path, err := filepath.Rel(dir, filepath.Join(before.Root, folder))
		if err != nil {
			t.Fatal(err)
		}
		return path
	}
	k := map[string]any{
		"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization",
		"resources": []string{at("deploy/base")},
		"images":    []map[string]string{{"name": "heteroaccel/heteroaccel", "newTag": beforeTag}},
	}
	for field, value := range overlaysBefore[name] {
		if folders, ok := value.([]string); ok {
			var paths []string
			for _, f := range folders {
				paths = append(paths, at(f))
			}
			value = paths
		}
		k[field] = value
	}
	text, err := sigsyaml.Marshal(k)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "kustomization.yaml"), text, 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

// holds has a pod that names the accelerator of a node itself run there.
func holds(t *testing.T, node string) *corev1.Pod {
	t.Helper()
	p, err := shared.Client().CoreV1().Pods(metav1.NamespaceDefault).Create(t.Context(), &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "holds-" + node},
		Spec: corev1.PodSpec{
			TerminationGracePeriodSeconds: new(int64(0)),
			Containers: []corev1.Container{{
				Name: "holds", Image: "heteroaccel/pause:" + image.Version,
				Resources: corev1.ResourceRequirements{Limits: corev1.ResourceList{realnodes.Resources[node]: resource.MustParse("1")}},
			}},
		},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, p.Name+" runs", func(ctx context.Context) error {
		now, err := shared.Client().CoreV1().Pods(p.Namespace).Get(ctx, p.Name, metav1.GetOptions{})
		if err == nil && now.Status.Phase != corev1.PodRunning {
			err = fmt.Errorf("it is %s", now.Status.Phase)
		}
		return err
	})
	return p
}

func vacate(t *testing.T, p *corev1.Pod) {
	t.Helper()
	if err := shared.Client().CoreV1().Pods(p.Namespace).Delete(t.Context(), p.Name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
}

// waiting are a bare pod that may have the GPU or the NPU, and a Job that may have the GPU.
const waiting = `
apiVersion: v1
kind: Pod
metadata: {name: waits, labels: {app: waits}, annotations: {heteroaccel.io/inference: face-recognition, heteroaccel.io/accelerator: "gpu,npu"}}
` + waitingSpec + `
---
apiVersion: batch/v1
kind: Job
metadata: {name: waits, labels: {app: waits}}
spec:
  backoffLimit: 0
  template:
    metadata: {labels: {app: waits}, annotations: {heteroaccel.io/inference: face-recognition, heteroaccel.io/accelerator: gpu}}
    ` + waitingSpec

const waitingSpec = `spec: {restartPolicy: Never, containers: [{name: inference, image: heteroaccel/face-recognition, command: [bash, -c, ./face_recognition -i cam0 -d GPU]}]}`

// waits creates them, and waits until kube-scheduler has found nothing for either, both
// with a record of the revision before.
func waits(t *testing.T) {
	t.Helper()
	if said, err := shared.KubectlInput(t.Context(), waiting, "create", "-f", "-"); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	eventually(t, "two pods wait", func(ctx context.Context) error {
		list, err := shared.Client().CoreV1().Pods(metav1.NamespaceDefault).List(ctx, metav1.ListOptions{LabelSelector: "app=waits"})
		if err != nil {
			return err
		}
		for _, p := range list.Items {
			sealed, _, _ := strings.Cut(p.Annotations[accel.OriginalAnnotation], " ")
			if sealed == "" || strings.Contains(sealed, ".") || p.Annotations[accel.SelectedAnnotation] != "GPU" {
				return fmt.Errorf("%s is for %s, and its record begins with %q", p.Name, p.Annotations[accel.SelectedAnnotation], sealed)
			}
			if len(p.Status.Conditions) == 0 || p.Status.Conditions[0].Reason != corev1.PodReasonUnschedulable {
				return fmt.Errorf("%s is not unschedulable: %v", p.Name, p.Status.Conditions)
			}
		}
		if len(list.Items) != 2 {
			return fmt.Errorf("there are %d", len(list.Items))
		}
		return nil
	})
}

// haveRun checks that there are two pods, of which so many have succeeded: the bare one
// first, recreated for the NPU, and the Job's as it was.
func haveRun(ctx context.Context, want int) error {
	list, err := shared.Client().CoreV1().Pods(metav1.NamespaceDefault).List(ctx, metav1.ListOptions{LabelSelector: "app=waits"})
	if err != nil {
		return err
	}
	done := 0
	for _, p := range list.Items {
		kind, again, node := "GPU", "", "g"
		if p.Name == "waits" {
			kind, again, node = "NPU", "1", "n"
		}
		if p.Status.Phase != corev1.PodSucceeded {
			continue
		}
		done++
		if got := p.Annotations; got[accel.SelectedAnnotation] != kind || got[accel.ReadmissionsAnnotation] != again || p.Spec.NodeName != node {
			return fmt.Errorf("%s ran with %s on %s, recreated %q times", p.Name, got[accel.SelectedAnnotation], p.Spec.NodeName, got[accel.ReadmissionsAnnotation])
		}
	}
	if len(list.Items) != 2 || done != want {
		return fmt.Errorf("of %d pods %d have run, want %d of 2", len(list.Items), done, want)
	}
	return nil
}
