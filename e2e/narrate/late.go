package narrate

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"

	"heteroaccel.io/pkg/accel"
)

// WaitsFile is the example of a pod that may have one of two accelerators.
const WaitsFile = "gpu-or-npu.yaml"

// LateBinding reports whether the environment's BINDING asks for pods that are bound late.
func LateBinding() (bool, error) {
	switch binding := os.Getenv("BINDING"); binding {
	case "", "early":
		return false, nil
	case "late":
		return true, nil
	default:
		return false, fmt.Errorf("BINDING=%s is neither early nor late: give one of them", binding)
	}
}

// Move shows what late binding is for. The pods given run, one on each kind. One more
// waits for the accelerator that it would rather have, and gets the other once that frees:
// the same pod, with another image.
func (n Narrator) Move(ctx context.Context, running []corev1.Pod) error {
	if err := n.Create(ctx, WaitsFile); err != nil {
		return err
	}
	known := func(p corev1.Pod) bool {
		return slices.ContainsFunc(running, func(r corev1.Pod) bool { return r.UID == p.UID })
	}
	fifth := func(pods []corev1.Pod) (corev1.Pod, bool) {
		i := slices.IndexFunc(pods, func(p corev1.Pod) bool { return !known(p) })
		if i < 0 {
			return corev1.Pod{}, false
		}
		return pods[i], true
	}
	pods, err := n.Follow(ctx, len(running)+1, func(pods []corev1.Pod) bool {
		p, ok := fifth(pods)
		return ok && Unschedulable(p) != ""
	})
	if err != nil {
		return err
	}
	waits, _ := fifth(pods)
	fmt.Println()
	Describe(waits)
	frees := "NPU"
	if waits.Annotations[accel.SelectedAnnotation] == frees {
		frees = "GPU"
	}
	i := slices.IndexFunc(running, func(p corev1.Pod) bool { return p.Annotations[accel.SelectedAnnotation] == frees })
	if i < 0 {
		return fmt.Errorf("%w: none of the pods runs on the %s", ErrShown, frees)
	}
	fmt.Printf("The pod with the %s goes.\n", frees)
	// The Job first, which would create the pod again; alone, as the pods that go with it
	// have half a minute to end.
	for _, args := range [][]string{
		{"delete", "job", running[i].Labels[batchv1.JobNameLabel], "--cascade=orphan"},
		{"delete", "pod", running[i].Name, "--wait=false", "--grace-period=1", "--ignore-not-found"},
	} {
		fmt.Printf("$ kubectl %s\n", strings.Join(args, " "))
		if said, err := n.Cluster.Kubectl(ctx, args...); err != nil {
			return fmt.Errorf("kubectl %s: %w: %s", args[0], err, said)
		}
	}
	pods, err = n.Follow(ctx, len(running), func(pods []corev1.Pod) bool {
		p, ok := fifth(pods)
		return ok && p.Status.Phase == corev1.PodRunning
	})
	if err != nil {
		return err
	}
	got, _ := fifth(pods)
	fmt.Println()
	Describe(got)
	switch {
	case got.UID != waits.UID:
		return fmt.Errorf("%w: the pod was recreated", ErrShown)
	case got.Annotations[accel.SelectedAnnotation] != frees:
		return fmt.Errorf("%w: the pod runs on %s, and the %s is free", ErrShown, got.Annotations[accel.SelectedAnnotation], frees)
	case got.Spec.Containers[0].Image == waits.Spec.Containers[0].Image:
		return fmt.Errorf("%w: the pod runs the image that it had for the other kind", ErrShown)
	}
	fmt.Printf("%s was not recreated: it is the same pod, with the image for the %s.\n", got.Name, frees)
	return nil
}
