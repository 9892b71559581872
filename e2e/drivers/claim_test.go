//go:build cluster

package drivers

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	resourceapi "k8s.io/api/resource/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
)

// shows is a script that says what its container was given, opens it, and ends when it is
// told to, or after so many seconds.
const shows = `trap 'exit 0' TERM
echo groups ${GROUPS[@]}
echo kind $HETEROACCEL_KIND
for f in /dev/dri/* /dev/accel/* /dev/dfl-port*; do
	if [ -c $f ]; then { exec 3<>$f && echo opened $f; } || echo closed $f; fi
done
echo ready
sleep %d & wait`

// claiming creates a pod with a claim of its own of the class of a kind, which runs for so
// many seconds.
func claiming(t *testing.T, name, kind string, seconds int) *corev1.Pod {
	t.Helper()
	template := "one-" + kind
	_, err := shared.Client().ResourceV1().ResourceClaimTemplates(metav1.NamespaceDefault).Create(t.Context(), &resourceapi.ResourceClaimTemplate{
		ObjectMeta: metav1.ObjectMeta{Name: template},
		Spec: resourceapi.ResourceClaimTemplateSpec{Spec: resourceapi.ResourceClaimSpec{Devices: resourceapi.DeviceClaim{
			Requests: []resourceapi.DeviceRequest{{Name: "device", Exactly: &resourceapi.ExactDeviceRequest{DeviceClassName: kind + ".heteroaccel.io"}}},
		}}},
	}, metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		t.Fatal(err)
	}
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: metav1.NamespaceDefault},
		Spec: corev1.PodSpec{
			RestartPolicy:  corev1.RestartPolicyNever,
			ResourceClaims: []corev1.PodResourceClaim{{Name: "accelerator", ResourceClaimTemplateName: &template}},
			Containers: []corev1.Container{{
				Name: "show", Image: "heteroaccel/inference:v0.1.0", Command: []string{"bash", "-c", fmt.Sprintf(shows, seconds)},
				Resources: corev1.ResourceRequirements{Claims: []corev1.ResourceClaim{{Name: "accelerator"}}},
			}},
		},
	}
	pod, err = shared.Client().CoreV1().Pods(metav1.NamespaceDefault).Create(t.Context(), pod, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { remove(t, name) })
	return pod
}

// remove deletes a pod, which may be gone, and waits until it is.
func remove(t *testing.T, name string) {
	ctx := context.Background()
	pods := shared.Client().CoreV1().Pods(metav1.NamespaceDefault)
	if err := pods.Delete(ctx, name, metav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
		t.Error(err)
	}
	err := shared.Wait(ctx, func(ctx context.Context) error {
		_, err := pods.Get(ctx, name, metav1.GetOptions{})
		if err == nil {
			return fmt.Errorf("pod %s is there", name)
		}
		if apierrors.IsNotFound(err) {
			return nil
		}
		return err
	})
	if err != nil {
		shared.Explain()
		t.Error(err)
	}
}

// given waits until a pod's container has said what it was given, and compares that.
func given(t *testing.T, name, kind string) {
	t.Helper()
	pod := phase(t, name, corev1.PodRunning)
	device, err := allocated(t.Context(), pod)
	if err != nil {
		t.Fatal(err)
	}
	if want := pod.Spec.NodeName + "/" + names[kind]; device != want || nodes[kind] != "" && pod.Spec.NodeName != nodes[kind] {
		t.Errorf("pod %s has %s on node %s, want %s", name, device, pod.Spec.NodeName, want)
	}
	said := says(t, name, func(s string) bool { return strings.HasSuffix(s, "ready\n") })
	want := []string{"kind " + kind, "opened " + files[kind]}
	switch kind {
	case "cpu": // the kind is the only one that needs no file
		want = []string{"kind\n"}
	case "gpu":
		want = append(want, fmt.Sprint(renderGroup))
	}
	for _, w := range want {
		if !strings.Contains(said, w) {
			t.Errorf("pod %s does not say %q: it says\n%s", name, w, said)
		}
	}
	for other, file := range files {
		if other != kind && strings.Contains(said, file) {
			t.Errorf("pod %s has %s:\n%s", name, file, said)
		}
	}
}

// TestClaims: a pod with a claim has the device, its group and its kind, and no other's;
// when it ends the next gets the device at once.
func TestClaims(t *testing.T) {
	for _, node := range withCDI() {
		m, err := metrics(t.Context(), node)
		if err != nil {
			t.Fatal(err)
		}
		if m[fmt.Sprintf("heteroaccel_device_driver_registered{node=%q}", node)] != 1 {
			t.Errorf("the kubelet of node %s has not registered the driver: %v", node, m)
		}
	}
	for kind := range names {
		t.Run(kind, func(t *testing.T) {
			claiming(t, "one", kind, 3600)
			given(t, "one", kind)
			if kind == "cpu" {
				return // for any number
			}
			claiming(t, "next", kind, 3600)
			waits(t, "next")
			if got := prepared(t, nodes[kind]); len(got) != 1 {
				t.Errorf("node %s has prepared %v, want one claim", nodes[kind], got)
			}
			freed(t, "one", kind)
			given(t, "next", kind)
			remove(t, "next")
			nothingPrepared(t, nodes[kind])
		})
	}
}

// freed has a pod end by itself and measures how long its claim stays.
func freed(t *testing.T, name, kind string) {
	t.Helper()
	pod := phase(t, name, corev1.PodRunning)
	claim := claimOf(pod)
	told := time.Now()
	// That kills the program of the exec too, which may be seen first.
	if err := shared.Run(t.Context(), "exec", name, "--", "bash", "-c", "kill -TERM 1"); err != nil {
		t.Log(err)
	}
	phase(t, name, corev1.PodSucceeded)
	ended := time.Now()
	err := wait.PollUntilContextTimeout(t.Context(), 10*time.Millisecond, 15*time.Second, true, func(ctx context.Context) (bool, error) {
		c, err := shared.Client().ResourceV1().ResourceClaims(pod.Namespace).Get(ctx, claim, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return true, nil
		}
		return err == nil && c.Status.Allocation == nil, err
	})
	if err != nil {
		t.Fatalf("the claim of a pod that has ended still has its device: %v", err)
	}
	t.Logf("%s: free %s after its pod ended, %s after its process was told to", kind, since(ended), since(told))
}

// TestShares: a GPU with three slots takes three pods and no more.
func TestShares(t *testing.T) {
	undo := upgrade(t, "--drive-slots=gpu=3")
	defer undo()
	for i := range 4 {
		claiming(t, fmt.Sprint("share-", i), "gpu", 3600)
	}
	var running, waiting []string
	eventually(t, "three run and one waits", func(ctx context.Context) error {
		running, waiting = nil, nil
		for i := range 4 {
			p, err := shared.Client().CoreV1().Pods(metav1.NamespaceDefault).Get(ctx, fmt.Sprint("share-", i), metav1.GetOptions{})
			if err != nil {
				return err
			}
			if p.Status.Phase == corev1.PodRunning {
				running = append(running, p.Name)
			} else if unschedulable(p) != "" {
				waiting = append(waiting, p.Name)
			}
		}
		if len(running) != 3 || len(waiting) != 1 {
			return errors.New(fmt.Sprint("running: ", running, ", waiting: ", waiting))
		}
		return nil
	})
	for _, name := range running {
		given(t, name, "gpu")
	}
	if got := prepared(t, "g"); len(got) != 3 {
		t.Errorf("node g has prepared %v, want three claims", got)
	}
	remove(t, running[0])
	given(t, waiting[0], "gpu")
	for _, name := range append(running[1:], waiting[0]) {
		remove(t, name)
	}
	nothingPrepared(t, "g")
}
