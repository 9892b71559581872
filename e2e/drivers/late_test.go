//go:build cluster

package drivers

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"heteroaccel.io/pkg/accel"
)

// deviceFlags are the device names of deploy/registry's variants, on the machines of today.
var deviceFlags = map[string]string{"gpu": "GPU", "npu": "NPU", "fpga": "HETERO:FPGA,CPU", "cpu": "CPU"}

// inferring creates a pod that names no device, for kinds, which infers for a
// second and keeps its device for so many.
func inferring(t *testing.T, name, inference, kinds string, seconds int) *corev1.Pod {
	t.Helper()
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: metav1.NamespaceDefault, Annotations: map[string]string{
			accel.InferenceAnnotation: inference, accel.AcceleratorAnnotation: kinds,
		}},
		Spec: corev1.PodSpec{
			RestartPolicy: corev1.RestartPolicyNever, TerminationGracePeriodSeconds: new(int64(1)),
			Containers: []corev1.Container{{
				Name: "inference", Image: "heteroaccel/" + inference,
				Command: []string{"bash", "-c", fmt.Sprintf("./%s -i cam0 -d GPU -t 1 && exec sleep %d", strings.ReplaceAll(inference, "-", "_"), seconds)},
			}},
		},
	}
	pod, err := shared.Client().CoreV1().Pods(metav1.NamespaceDefault).Create(t.Context(), pod, metav1.CreateOptions{})
	do(t, err)
	t.Cleanup(func() { remove(t, name) })
	return pod
}

func kindOf(pod *corev1.Pod) string {
	return strings.ToLower(pod.Annotations[accel.SelectedAnnotation])
}

// infers waits until a pod runs, and compares all that names its kind: the claim's device,
// node, image, device flag, and what its container says that it has. It returns the kind.
func infers(t *testing.T, name, inference string) (kind string, pod *corev1.Pod) {
	t.Helper()
	pod = phase(t, name, corev1.PodRunning, corev1.PodSucceeded)
	kind = kindOf(pod)
	device, err := allocated(t.Context(), pod)
	if want := pod.Spec.NodeName + "/" + names[kind]; pod.Status.Phase == corev1.PodRunning && (device != want || err != nil) {
		t.Errorf("pod %s has %q, want %q: %v", name, device, want, err)
	}
	if want := nodes[kind]; want != "" && pod.Spec.NodeName != want {
		t.Errorf("pod %s runs on node %s, want %s", name, pod.Spec.NodeName, want)
	}
	if got, want := pod.Spec.Containers[0].Image, "heteroaccel/"+inference+":"+kind; got != want {
		t.Errorf("pod %s runs %s, want %s", name, got, want)
	}
	want := []string{"Device flag: -d " + deviceFlags[kind] + "\n", "HETEROACCEL_DEVICE: " + deviceFlags[kind] + "\n"}
	if kind == "cpu" {
		want = append(want, "Device nodes: none")
	} else {
		want = append(want, "Device nodes: "+files[kind]+"\n", "HETEROACCEL_KIND="+kind)
	}
	said := says(t, name, func(s string) bool { return strings.Contains(s, "First inference took") })
	for _, w := range want {
		if !strings.Contains(said, w) {
			t.Errorf("pod %s, which is for %s, does not say %q: it says\n%s", name, kind, w, said)
		}
	}
	return kind, pod
}

// TestLate: four inferences get four kinds, each with the image, flag and device of its
// own. One that waits for the GPU gets the NPU that frees, as the same pod.
func TestLate(t *testing.T) {
	got := map[string]string{}
	inferences := []string{"face-recognition", "action-recognition", "text-recognition", "object-detection"}
	for _, name := range inferences {
		inferring(t, name, name, "any", 3600)
	}
	for _, name := range inferences {
		kind, _ := infers(t, name, name)
		if other := got[kind]; other != "" {
			t.Errorf("%s and %s both run on the %s", name, other, kind)
		}
		got[kind] = name
	}
	if t.Failed() {
		shared.Explain()
		t.FailNow()
	}
	created := inferring(t, "fifth", "face-recognition", "gpu,npu", 2)
	waiting := waits(t, "fifth")
	if kindOf(waiting) != "gpu" {
		t.Logf("it waits for the %s", kindOf(waiting))
	}
	frees := "npu"
	if kindOf(waiting) == frees {
		frees = "gpu"
	}
	begin := time.Now()
	do(t, shared.Run(t.Context(), "delete", "pod", got[frees], "--wait=false"))
	kind, pod := infers(t, "fifth", "face-recognition")
	t.Logf("it infers on the %s %s after the pod there was deleted", kind, since(begin))
	if kind != frees || pod.UID != created.UID {
		t.Errorf("it is pod %s on %s, want %s on %s", pod.UID, kind, created.UID, frees)
	}
	phase(t, "fifth", corev1.PodSucceeded)
	for _, name := range inferences {
		remove(t, name)
	}
	remove(t, "fifth")
	noClaims(t)
}

// TestLateJob: the pod of a Job succeeds in one attempt, and nothing is left of its claim.
func TestLateJob(t *testing.T) {
	retries := int32(0)
	job := &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{Name: "once", Namespace: metav1.NamespaceDefault},
		Spec: batchv1.JobSpec{BackoffLimit: &retries, Template: corev1.PodTemplateSpec{
			ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{accel.InferenceAnnotation: "face-recognition", accel.AcceleratorAnnotation: "fpga"}},
			Spec: corev1.PodSpec{RestartPolicy: corev1.RestartPolicyNever, Containers: []corev1.Container{{
				Name: "inference", Image: "heteroaccel/face-recognition", Args: []string{"-m", "face-recognition", "-t", "1"},
			}}},
		}},
	}
	jobs := shared.Client().BatchV1().Jobs(metav1.NamespaceDefault)
	_, err := jobs.Create(t.Context(), job, metav1.CreateOptions{})
	do(t, err)
	t.Cleanup(func() {
		if err := shared.Run(context.Background(), "delete", "job", job.Name); err != nil {
			t.Error(err)
		}
	})
	eventually(t, "the Job succeeds", func(ctx context.Context) error {
		j, err := jobs.Get(ctx, job.Name, metav1.GetOptions{})
		if err == nil && j.Status.Succeeded != 1 {
			err = fmt.Errorf("its status is %+v", j.Status)
		}
		return err
	})
	noClaims(t)
}

// noClaims waits until no claim is left, and nothing is prepared.
func noClaims(t *testing.T) {
	t.Helper()
	eventually(t, "every claim goes", func(ctx context.Context) error {
		list, err := shared.Client().ResourceV1().ResourceClaims(metav1.NamespaceAll).List(ctx, metav1.ListOptions{})
		if err == nil && len(list.Items) > 0 {
			err = fmt.Errorf("%d are left, such as %s", len(list.Items), list.Items[0].Name)
		}
		return err
	})
	for _, node := range withCDI() {
		nothingPrepared(t, node)
	}
}
