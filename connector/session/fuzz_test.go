package session

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
)

// FuzzOfLease: a Lease is refused, or the session in it can be written into a Lease
// again from which the same session is read, and be planned for.
func FuzzOfLease(f *testing.F) {
	for _, s := range []*Session{waits("a", 3), {
		ID: "b", Client: "camera-7", Pool: Pool{"face-recognition", "gpu,npu", "edge-1"}, Labels: map[string]string{"hall": "3"},
		Priority: -5, TTL: time.Hour, Created: start, Renewed: start.Add(time.Minute), Server: "face-x", Moves: 2, UID: "u-1", Version: "77",
	}} {
		lease, err := Lease(s, "sessions")
		if err != nil {
			f.Fatal(err)
		}
		wire, err := json.Marshal(lease)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(wire)
	}
	f.Fuzz(func(t *testing.T, wire []byte) {
		var lease coordinationv1.Lease
		if json.Unmarshal(wire, &lease) != nil {
			return
		}
		s, err := OfLease(&lease)
		if err != nil {
			return
		}
		if s.ID == "" || s.TTL <= 0 || !s.Expires().After(s.Renewed) {
			t.Fatalf("read as %+v", s)
		}
		written, err := Lease(s, lease.Namespace)
		if err != nil {
			t.Fatal(err)
		}
		again, err := OfLease(written)
		if err != nil {
			t.Fatal(err)
		}
		if len(again.Labels) == 0 && len(s.Labels) == 0 {
			again.Labels = s.Labels
		}
		if !reflect.DeepEqual(s, again) {
			t.Errorf("(-first +second):\n%s", cmp.Diff(s, again))
		}
	})
}

// FuzzOfPod: a pod of any annotations is refused, or read as a server that keeps its
// pool and that the time of its idleness does not end early.
func FuzzOfPod(f *testing.F) {
	template := &corev1.PodTemplateSpec{Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "inference", Ports: []corev1.ContainerPort{{ContainerPort: 8080, HostPort: 18080}}}}}}
	pod, err := Pod(template, Pool{"face-recognition", "any", "edge-1"}, ReachPodIP, "sessions", "face-x")
	if err != nil {
		f.Fatal(err)
	}
	pod.Spec.NodeName, pod.Status.PodIP, pod.Status.HostIP = "edge-2", "10.0.0.7", "192.0.2.2"
	pod.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}
	for _, reach := range reaches {
		pod.Annotations[reachAnnotation], pod.Annotations[IdleAnnotation] = string(reach), start.Format(time.RFC3339Nano)
		wire, err := json.Marshal(pod)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(wire)
	}
	f.Fuzz(func(t *testing.T, wire []byte) {
		var pod corev1.Pod
		if json.Unmarshal(wire, &pod) != nil {
			return
		}
		v, err := OfPod(&pod)
		if err != nil {
			return
		}
		if (v.Phase == Ready) != (v.Address != "") {
			t.Errorf("phase %s with address %q", v.Phase, v.Address)
		}
		if _, err := time.Parse(time.RFC3339Nano, pod.Annotations[IdleAnnotation]); err != nil && !v.Idle.IsZero() {
			t.Errorf("idle since %s by %q", v.Idle, pod.Annotations[IdleAnnotation])
		}
		var pool Pool
		if err := json.Unmarshal([]byte(pod.Annotations[poolAnnotation]), &pool); err != nil || pool != v.Pool {
			t.Errorf("pool %+v, want %+v, %v", v.Pool, pool, err)
		}
		again, err := OfPod(&pod)
		if err != nil || !reflect.DeepEqual(v, again) {
			t.Errorf("%v (-first +second):\n%s", err, cmp.Diff(v, again))
		}
	})
}
