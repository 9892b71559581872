package edge

import (
	"context"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"heteroaccel.io/e2e/realnodes"
	"heteroaccel.io/pkg/accel"
)

// claimable returns nil once the exporters have published the devices of the nodes that
// have CDI, and the webhook has pods claim them; of a cluster that binds early at once.
func (e *Edge) claimable(ctx context.Context) error {
	if !e.late {
		return nil
	}
	for _, m := range realnodes.Machines() {
		published, err := e.Published(ctx, m.Name)
		if err != nil {
			return err
		}
		want := []string{string(accel.CPUDevice)}
		for _, d := range m.Devices {
			want = append(want, strings.ToLower(string(d.Kind)))
		}
		for _, kind := range want {
			if !slices.ContainsFunc(published, func(name string) bool { return strings.HasPrefix(name, kind) }) {
				return fmt.Errorf("node %s publishes %q, and no %s", m.Name, published, kind)
			}
		}
	}
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "probe-", Annotations: map[string]string{
			accel.InferenceAnnotation: "face-recognition", accel.AcceleratorAnnotation: "any",
		}},
		Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "inference", Image: "probe", Args: []string{"-d", "GPU"}}}},
	}
	pod, err := e.Client().CoreV1().Pods(metav1.NamespaceDefault).Create(ctx, pod, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
	if err != nil {
		return err
	}
	if len(pod.Spec.ResourceClaims) != 1 {
		return fmt.Errorf("the webhook binds pods early: %s", pod.Annotations[accel.ReasonAnnotation])
	}
	return nil
}

// Published are the names of the devices that the exporter of a node publishes.
func (e *Edge) Published(ctx context.Context, node string) ([]string, error) {
	list, err := e.Client().ResourceV1().ResourceSlices().List(ctx, metav1.ListOptions{FieldSelector: "spec.nodeName=" + node})
	if err != nil {
		return nil, err
	}
	var out []string
	for _, slice := range list.Items {
		for _, d := range slice.Spec.Devices {
			out = append(out, d.Name)
		}
	}
	return out, nil
}
