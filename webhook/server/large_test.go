package server

import (
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"heteroaccel.io/pkg/accel"
)

// TestLargePods: what a review costs grows with the pod, not with its square.
func TestLargePods(t *testing.T) {
	for name, fill := range map[string]func(*corev1.Pod, int){
		"variables": func(p *corev1.Pod, n int) {
			c := &p.Spec.Containers[0]
			for i := range n {
				c.Env = append(c.Env, corev1.EnvVar{Name: fmt.Sprint("V", i), Value: fmt.Sprintf("$(V%d)", i-1)})
			}
			c.Args = []string{"-d", fmt.Sprintf("$(V%d)", n-1)}
		},
		// Both are set by the variant, so all of them are recorded.
		"variables of two names": func(p *corev1.Pod, n int) {
			for i := range n {
				name := accel.DeviceEnv
				if i > n/2 {
					name = "MODE"
				}
				p.Spec.Containers[0].Env = append(p.Spec.Containers[0].Env, corev1.EnvVar{Name: name, Value: fmt.Sprint(i)})
			}
		},
		"flags": func(p *corev1.Pod, n int) {
			for range n {
				p.Spec.Containers[0].Args = append(p.Spec.Containers[0].Args, "-d", "GPU")
			}
		},
		"shell line": func(p *corev1.Pod, n int) {
			p.Spec.Containers[0].Command = []string{"sh", "-c", strings.Repeat("x -d GPU; ", n)}
		},
		"volumes": func(p *corev1.Pod, n int) {
			for i := range n {
				name := fmt.Sprint("v", i)
				p.Spec.Volumes = append(p.Spec.Volumes, corev1.Volume{Name: name})
				p.Spec.Containers[0].VolumeMounts = append(p.Spec.Containers[0].VolumeMounts, corev1.VolumeMount{Name: name, MountPath: "/" + name})
			}
		},
		"tolerations": func(p *corev1.Pod, n int) {
			for i := range n {
				p.Spec.Tolerations = append(p.Spec.Tolerations, corev1.Toleration{Key: fmt.Sprint("k", i)})
			}
		},
		"containers": func(p *corev1.Pod, n int) {
			for i := range n / 5 {
				p.Spec.Containers = append(p.Spec.Containers, corev1.Container{Name: fmt.Sprint("c", i), Image: "x"})
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			const n, times, limit = 5000, 8, 40 // a square takes 64 times as long, and soon more
			small, large := reviewTime(t, fill, n), reviewTime(t, fill, times*n)
			if large > limit*small {
				t.Errorf("%d take %v, %d take %v", n, small, times*n, large)
			}
		})
	}
}

// reviewTime is the shortest of five reviews of a pod.
func reviewTime(t *testing.T, fill func(*corev1.Pod, int), n int) time.Duration {
	t.Helper()
	p := pod("a", "face-recognition", "any")
	fill(p, n)
	body := reviewOf(t, p)
	shortest := time.Hour
	for range 5 {
		r := newRig(t).paper()
		in := paperProfile("face-recognition")
		for i := range in.Spec.Variants {
			in.Spec.Variants[i].Env = []corev1.EnvVar{{Name: "MODE", Value: "edge"}}
		}
		if err := r.srv.Profiles.Put(in); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		code, answer := r.post(t, body)
		shortest = min(shortest, time.Since(start))
		if code != 200 {
			t.Fatalf("%d: %s", code, answer)
		}
	}
	return shortest
}

// TestManyKindsAreRefused: a pod that requests more kinds of devices than are counted.
func TestManyKindsAreRefused(t *testing.T) {
	r := newRig(t).paper()
	p := pod("p", "face-recognition", "any", func(p *corev1.Pod) {
		list := corev1.ResourceList{}
		for i := range 100 {
			list[corev1.ResourceName(fmt.Sprint("example.com/device-", i))] = resource.MustParse("1")
		}
		p.Spec.Containers[0].Resources = corev1.ResourceRequirements{Limits: list, Requests: list}
	})
	if _, resp := r.admit(t, p); resp.Allowed || !strings.Contains(resp.Result.Message, "kinds of devices, and may request 64") {
		t.Errorf("admitted %v: %+v", resp.Allowed, resp.Result)
	}
}
