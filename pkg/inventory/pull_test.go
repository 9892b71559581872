package inventory

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"heteroaccel.io/pkg/resources"
)

// TestPull: what became of the image is the kubelet's word on the container.
func TestPull(t *testing.T) {
	waiting := func(reason, message string) corev1.ContainerStatus {
		return corev1.ContainerStatus{State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: message}}}
	}
	restarting := waiting("CrashLoopBackOff", "back-off 10s")
	restarting.ImageID = "sha256:1"
	pruned := waiting("ImagePullBackOff", "Back-off pulling image")
	pruned.ImageID = "sha256:1"
	for name, tc := range map[string]struct {
		status corev1.ContainerStatus
		pulled bool
		why    string
	}{
		"created":              {waiting("ContainerCreating", ""), false, ""},
		"not found":            {waiting("ErrImagePull", "not found"), false, "not found"},
		"backing off":          {pruned, false, "Back-off pulling image"},
		"never to be pulled":   {waiting("ErrImageNeverPull", ""), false, "ErrImageNeverPull"},
		"waits for a restart":  {restarting, true, ""},
		"runs":                 {corev1.ContainerStatus{State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}}, true, ""},
		"ended":                {corev1.ContainerStatus{ImageID: "sha256:1", State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{}}}, true, ""},
		"nothing is known yet": {corev1.ContainerStatus{}, false, ""},
	} {
		t.Run(name, func(t *testing.T) {
			if pulled, why := pullOf(&tc.status); pulled != tc.pulled || why != tc.why {
				t.Errorf("pulled %v, %q; want %v, %q", pulled, why, tc.pulled, tc.why)
			}
		})
	}
}

// TestHas: what a node has counts, not what is free of it, and its labels.
func TestHas(t *testing.T) {
	n := NodeOf(&corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: "g", Labels: map[string]string{"site": "oven"}},
		Spec:       corev1.NodeSpec{Unschedulable: true},
		Status:     corev1.NodeStatus{Capacity: corev1.ResourceList{"x/gpu": resource.MustParse("2")}, Allocatable: corev1.ResourceList{"cpu": resource.MustParse("4"), "pods": resource.MustParse("110"), "x/gpu": resource.MustParse("0")}},
	})
	for name, tc := range map[string]struct {
		needs  corev1.ResourceList
		labels map[string]string
		want   bool
	}{
		"nothing":             {nil, nil, true},
		"an unhealthy device": {corev1.ResourceList{"x/gpu": resource.MustParse("1")}, nil, true},
		"too many":            {corev1.ResourceList{"x/gpu": resource.MustParse("3")}, nil, false},
		"cores":               {corev1.ResourceList{"cpu": resource.MustParse("4")}, nil, true},
		"too many cores":      {corev1.ResourceList{"cpu": resource.MustParse("4100m")}, nil, false},
		"its label":           {nil, map[string]string{"site": "oven"}, true},
		"another label":       {nil, map[string]string{"site": "belt"}, false},
		"no such label":       {nil, map[string]string{"hall": "3"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := n.Has(resources.Of(tc.needs), tc.labels); got != tc.want {
				t.Errorf("has it: %v, want %v", got, tc.want)
			}
		})
	}
}
