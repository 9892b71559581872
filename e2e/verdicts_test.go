package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"heteroaccel.io/e2e/stack"
)

// schedulerFindsNoNode: two replicas that must not share a node, and a node with
// two GPUs. The second waits for a GPU that it cannot have, until kube-scheduler's
// verdict is accepted.
func schedulerFindsNoNode(t *testing.T, s *stack.Stack) {
	manifest := strings.Replace(waitingOwners["Deployment"], "spec:\n", "spec:\n  replicas: 2\n", 1)
	manifest = strings.Replace(manifest, "      containers:", `      affinity:
        podAntiAffinity:
          requiredDuringSchedulingIgnoredDuringExecution:
          - {topologyKey: kubernetes.io/hostname, labelSelector: {matchLabels: {app: waits}}}
      containers:`, 1)
	stick := occupy(t, s, stickResource)
	if said, err := s.KubectlInput(t.Context(), manifest, "create", "-f", "-"); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	defer deleteOwner(t, s, manifest)
	count := func(ctx context.Context) (kinds map[string]int, pods []corev1.Pod, err error) {
		kinds = map[string]int{}
		pods, err = waits(ctx, s)
		for i := range pods {
			if pods[i].Status.Phase == corev1.PodRunning {
				kinds[kind(&pods[i])]++
			} else {
				kinds["waits for "+kind(&pods[i])]++
			}
		}
		return kinds, pods, err
	}
	// The stick is taken too: the verdict is accepted all the same, and the pod
	// waits for the kind that it can have.
	eventually(t, func(ctx context.Context) error {
		kinds, pods, err := count(ctx)
		if err == nil && (len(pods) != 2 || kinds["GPU"] != 1 || kinds["waits for NPU"] != 1) {
			err = fmt.Errorf("there are %v, want one on the GPU and one that waits for the NPU", kinds)
		}
		return err
	})
	_, pods, err := count(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for i := range pods {
		if kind(&pods[i]) == "NPU" && !strings.Contains(reason(&pods[i]), "no GPU (the scheduler finds no node for it there: 0/2 nodes are available") {
			t.Errorf("the reason does not have the scheduler's words: %s", reason(&pods[i]))
		}
	}
	vacate(t, s, stick)
	eventually(t, func(ctx context.Context) error {
		kinds, pods, err := count(ctx)
		if err == nil && (len(pods) != 2 || kinds["GPU"] != 1 || kinds["NPU"] != 1) {
			err = fmt.Errorf("there are %v, want one on each of GPU and NPU", kinds)
		}
		return err
	})
}

// passedOver: pods that are not ours wait for both GPUs, with a volume that
// never comes. The GPUs are not kept for them for ever.
func passedOver(t *testing.T, s *stack.Stack) {
	for i := range 2 {
		notebook := plainPod(fmt.Sprint("notebook-", i), withLimit(gpuResource, "1"), func(p *corev1.Pod) {
			p.Spec.Volumes = []corev1.Volume{{Name: "home", VolumeSource: corev1.VolumeSource{
				PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "home"},
			}}}
		})
		defer vacate(t, s, create(t, s, notebook))
	}
	camera := anyPod("camera", "face-recognition", "any")
	pods := s.Client().CoreV1().Pods(camera.Namespace)
	gets := func(want string) {
		t.Helper()
		eventually(t, func(ctx context.Context) error {
			p, err := pods.Create(ctx, camera.DeepCopy(), metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
			if err == nil && kind(p) != want {
				err = fmt.Errorf("the camera would get %s, want %s: %s", kind(p), want, reason(p))
			}
			return err
		})
	}
	gets("NPU")
	gets("GPU")
	got := running(t, s, create(t, s, camera))
	wantKind(t, got, "GPU")
	vacate(t, s, got)
}
