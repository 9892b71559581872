package learning_test

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/inventory"
	"heteroaccel.io/pkg/profile/v1alpha1"
	"heteroaccel.io/pkg/record"
	"heteroaccel.io/pkg/resources"
)

var testKey = record.NewKeys(bytes.Repeat([]byte{7}, 32))

// lateProfile has the variants of a and b, each with an image and a DeviceClass of its
// own, and one for the CPU.
func lateProfile(name string) *v1alpha1.InferenceProfile {
	in := resourceOf(name, "image")
	in.Spec.Variants = append(in.Spec.Variants, v1alpha1.Variant{
		Accelerator: "CPU", Image: "image", Limits: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("2")},
	})
	for i := range in.Spec.Variants {
		v := &in.Spec.Variants[i]
		v.Image, v.DeviceClassName = "image-"+v.Accelerator, v.Accelerator+".test"
	}
	return in
}

// latePod is a pod of the API server's that is bound late to a kind.
func latePod(t *testing.T, kind accel.Kind, change ...func(*corev1.Pod)) *corev1.Pod {
	t.Helper()
	claim := "ha-p"
	content, err := json.Marshal(record.Given{Container: "c", Inference: "late", Kind: kind, Claim: claim, Class: string(kind) + ".test"})
	if err != nil {
		t.Fatal(err)
	}
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "p", UID: "uid", CreationTimestamp: metav1.NewTime(epoch), Annotations: map[string]string{
			accel.DeviceAnnotation: string(kind), accel.ReservationAnnotation: "r",
			accel.OriginalAnnotation: record.Seal(string(content), testKey, "default", "r"),
		}},
		Spec: corev1.PodSpec{
			RestartPolicy:  corev1.RestartPolicyNever,
			ResourceClaims: []corev1.PodResourceClaim{{Name: "accelerator", ResourceClaimName: &claim}},
			Containers: []corev1.Container{{
				Name: "c", Image: "image-" + string(kind),
				Env: []corev1.EnvVar{{Name: accel.DeviceEnv, ValueFrom: &corev1.EnvVarSource{
					FieldRef: &corev1.ObjectFieldSelector{APIVersion: "v1", FieldPath: accel.DeviceFieldPath},
				}}},
			}},
		},
	}
	if kind == accel.CPU {
		p.Spec.Containers[0].Resources.Requests = corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("2")}
	}
	for _, c := range change {
		c(p)
	}
	return p
}

func onNode(p *corev1.Pod) { p.Spec.NodeName = "n" }

// succeeded ends a pod after two seconds.
func succeeded(p *corev1.Pod) {
	onNode(p)
	p.Status.Phase = corev1.PodSucceeded
	p.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "c", State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{
		StartedAt: metav1.NewTime(epoch), FinishedAt: metav1.NewTime(epoch.Add(2 * time.Second)),
	}}}}
}

// TestLate: a pod that is bound late is learned from if its claim was seen to have, for
// it, a device of its kind's DeviceClass on its node.
func TestLate(t *testing.T) {
	has := func(class string, change ...func(*inventory.Allocation)) func(*inventory.Inventory) {
		return func(inv *inventory.Inventory) {
			a := inventory.Allocation{Namespace: "default", Name: "ha-p", Pod: "p", UID: "uid", Node: "n", Holds: resources.Amounts{}.With(accel.ClassResource(class), 1)}
			for _, c := range change {
				c(&a)
			}
			inv.SetAllocation(a)
		}
	}
	nothing := func(*inventory.Inventory) {}
	tests := map[string]struct {
		kind   accel.Kind
		claim  func(*inventory.Inventory) // while it runs
		change func(*corev1.Pod)
		want   int64
	}{
		"a device of its class":       {"GPU", has("GPU.test"), nil, 1},
		"the node's cores":            {"CPU", has("CPU.test"), nil, 1},
		"a class that matches it too": {"GPU", has("GPU.test", func(a *inventory.Allocation) { a.Holds = a.Holds.With(accel.ClassResource("any.test"), 1) }), nil, 1},
		"a device of another class":   {"GPU", has("NPU.test"), nil, 0},
		"never seen allocated":        {"GPU", nothing, nil, 0},
		"an extended resource instead": {"GPU", nothing, func(p *corev1.Pod) {
			p.Spec.Containers[0].Resources.Requests = corev1.ResourceList{"x.io/GPU": resource.MustParse("1")}
		}, 0},
		"cores without their device":    {"CPU", nothing, nil, 0},
		"fewer cores":                   {"CPU", has("CPU.test"), func(p *corev1.Pod) { p.Spec.Containers[0].Resources.Requests = nil }, 0},
		"on another node":               {"GPU", has("GPU.test", func(a *inventory.Allocation) { a.Node = "m" }), nil, 0},
		"for another pod":               {"GPU", has("GPU.test", func(a *inventory.Allocation) { a.UID = "another" }), nil, 0},
		"a record that does not verify": {"GPU", has("GPU.test"), func(p *corev1.Pod) { p.Annotations[accel.ReservationAnnotation] = "s" }, 0},
		"another image":                 {"GPU", has("GPU.test"), func(p *corev1.Pod) { p.Spec.Containers[0].Image = "busybox" }, 0},
		"another device in its flag":    {"GPU", has("GPU.test"), func(p *corev1.Pod) { p.Annotations[accel.DeviceAnnotation] = "CPU" }, 0},
		"no device in its variable":     {"GPU", has("GPU.test"), func(p *corev1.Pod) { p.Spec.Containers[0].Env = nil }, 0},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.set(t, lateProfile("late"))
			inv := inventory.New(inventory.Options{})
			var last inventory.PodChange
			show := func(state ...func(*corev1.Pod)) {
				if tt.change != nil {
					state = append(state, tt.change)
				}
				last = inv.SetPod(inventory.PodOf(latePod(t, tt.kind, state...), testKey))
			}
			show()
			tt.claim(inv)
			show(onNode)
			inv.DeleteAllocation("default", "ha-p") // before the end is shown
			show(succeeded)
			if !last.Finished {
				t.Fatal("the pod has not finished")
			}
			r.Finished(last.Record)
			r.flush(t)
			if got := r.runsWritten("late", tt.kind); got != tt.want || len(r.writes) != int(tt.want) {
				t.Errorf("%d runs in %v, want %d", got, r.writes, tt.want)
			}
			if got := r.in("default", "late", tt.kind).Time(); tt.want > 0 && (got < time.Second || got > 3*time.Second) {
				t.Errorf("it took %s", got)
			}
		})
	}
}

// TestNotLateAnyMore: nothing is learned of a profile that has no variants to bind late
// any more.
func TestNotLateAnyMore(t *testing.T) {
	r := newRig(t)
	in := lateProfile("late")
	in.Spec.Variants[1].DeviceClassName = ""
	r.set(t, in)
	inv := inventory.New(inventory.Options{})
	inv.SetPod(inventory.PodOf(latePod(t, "GPU", onNode), testKey))
	inv.SetAllocation(inventory.Allocation{Namespace: "default", Name: "ha-p", Pod: "p", UID: "uid", Node: "n", Holds: resources.Amounts{}.With(accel.ClassResource("GPU.test"), 1)})
	r.Finished(inv.SetPod(inventory.PodOf(latePod(t, "GPU", succeeded), testKey)).Record)
	r.flush(t)
	if len(r.writes) != 0 {
		t.Errorf("written: %v", r.writes)
	}
}
