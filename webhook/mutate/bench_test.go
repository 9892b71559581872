package mutate

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"heteroaccel.io/pkg/accel"
)

// largePod is a pod of about 11 KB of JSON, the size of an ordinary review.
func largePod(b *testing.B) *Pod {
	pod := asked(corev1.Container{
		Image:   "face-recognition:any",
		Command: []string{"bash", "-c", "./app -m model.xml -d GPU && sleep 5"},
		Resources: corev1.ResourceRequirements{
			Limits: amountsOf("cpu=1 memory=1Gi nvidia.com/gpu=1"), Requests: amountsOf("cpu=1 memory=1Gi nvidia.com/gpu=1"),
		},
	})
	c := &pod.Spec.Containers[0]
	for i := range 60 {
		c.Env = append(c.Env, corev1.EnvVar{Name: fmt.Sprintf("CAMERA_SETTING_%d", i), Value: strings.Repeat("v", 60)})
	}
	for i := range 15 {
		name := fmt.Sprintf("volume-%d", i)
		pod.Spec.Volumes = append(pod.Spec.Volumes, defaultedVolume(corev1.Volume{Name: name, VolumeSource: corev1.VolumeSource{
			ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: corev1.LocalObjectReference{Name: name}}}}))
		c.VolumeMounts = append(c.VolumeMounts, corev1.VolumeMount{Name: name, MountPath: "/mnt/" + name, ReadOnly: true})
	}
	pod.Spec.Containers = append(pod.Spec.Containers, corev1.Container{Name: "proxy", Image: "proxy:1", Args: []string{strings.Repeat("x", 2500)}})
	raw, err := json.Marshal(pod)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(len(raw)), "podbytes")
	return pod
}

func benchInput(b *testing.B, kind accel.Kind) Input {
	p := testProfile(b)
	return Input{
		Profile: p, Variant: p.Variant(kind), Known: knownResource, Keys: testKey, Namespace: "default",
		Decision: Decision{Kind: kind, Reason: "idle on node g", Reservation: "r-1"},
	}
}

// BenchmarkApplyDiff is the first invocation: what every admission pays.
func BenchmarkApplyDiff(b *testing.B) {
	for _, kind := range []accel.Kind{"GPU", "NPU"} {
		b.Run(string(kind), func(b *testing.B) {
			pod, in := largePod(b), benchInput(b, kind)
			b.ReportAllocs()
			for b.Loop() {
				after, err := Apply(pod, in)
				if err != nil {
					b.Fatal(err)
				}
				if ops := Diff(pod, after, in.Target); len(ops) == 0 {
					b.Fatal("no operations")
				}
			}
		})
	}
}

// BenchmarkAgain is a second invocation: Undo, Apply, and nothing to say.
func BenchmarkAgain(b *testing.B) {
	in := benchInput(b, "GPU")
	pod, err := Apply(largePod(b), in)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		undone, ok := Undo(pod, testKey, "default")
		if !ok {
			b.Fatal("the record is not accepted")
		}
		after, err := Apply(undone, in)
		if err != nil {
			b.Fatal(err)
		}
		if ops := Diff(pod, after, in.Target); len(ops) != 0 {
			b.Fatalf("operations: %v", ops)
		}
	}
}

// BenchmarkRequests is paid once for each variant that is a candidate.
func BenchmarkRequests(b *testing.B) {
	pod, in := largePod(b), benchInput(b, "GPU")
	b.ReportAllocs()
	for b.Loop() {
		NewPlanner(pod, in.Target, knownResource).Requests(in.Variant)
	}
}
