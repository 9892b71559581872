package session

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"heteroaccel.io/pkg/accel"
)

func TestLeaseAndBack(t *testing.T) {
	for name, s := range map[string]*Session{
		"waits": waits("a", 3),
		"served, with everything": {
			ID: "b", Client: "camera-7", Pool: Pool{"face-recognition", "gpu,npu", "edge-1"}, Labels: map[string]string{"hall": "3"},
			Priority: -5, TTL: time.Hour, Created: start, Renewed: start.Add(time.Minute), Server: "face-x", Moves: 2, UID: "u-1", Version: "77",
		},
	} {
		t.Run(name, func(t *testing.T) {
			lease, err := Lease(s, "sessions")
			if err != nil {
				t.Fatal(err)
			}
			wire, err := json.Marshal(lease)
			if err != nil {
				t.Fatal(err)
			}
			back := lease.DeepCopy()
			if err := json.Unmarshal(wire, back); err != nil {
				t.Fatal(err)
			}
			got, err := OfLease(back)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(s, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestSpoiltLeases(t *testing.T) {
	good, err := Lease(waits("a", 0), "sessions")
	if err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(){
		"another name":  func() { good.Name = "node-1" },
		"no id":         func() { good.Name = "session-" },
		"no annotation": func() { good.Annotations = nil },
		"not JSON":      func() { good.Annotations[specAnnotation] = "{" },
		"no duration":   func() { good.Spec.LeaseDurationSeconds = nil },
		"negative":      func() { good.Spec.LeaseDurationSeconds = new(int32(-1)) },
		"no time":       func() { good.Spec.RenewTime = nil },
	} {
		t.Run(name, func(t *testing.T) {
			kept := good
			good = kept.DeepCopy()
			spoil()
			spoilt := good
			good = kept
			if s, err := OfLease(spoilt); err == nil {
				t.Errorf("read as %+v", s)
			}
		})
	}
}

func TestServerOfPod(t *testing.T) {
	template := &corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": "faces"}, Annotations: map[string]string{"note": "mine"}},
		Spec: corev1.PodSpec{Containers: []corev1.Container{
			{Name: "proxy", Ports: []corev1.ContainerPort{{ContainerPort: 15000}}},
			{Name: "inference", Ports: []corev1.ContainerPort{{Name: "metrics", ContainerPort: 9000}, {Name: "inference", ContainerPort: 8080, HostPort: 18080}}},
		}},
	}
	pool := Pool{"face-recognition", "any", "edge-1"}
	pod, err := Pod(template, pool, ReachPodIP, "sessions", "face-x")
	if err != nil {
		t.Fatal(err)
	}
	if len(template.Annotations) != 1 || template.Spec.Affinity != nil {
		t.Error("the template was changed")
	}
	prefer := pod.Spec.Affinity.NodeAffinity
	if prefer.RequiredDuringSchedulingIgnoredDuringExecution != nil || len(prefer.PreferredDuringSchedulingIgnoredDuringExecution) != 1 {
		t.Errorf("the node is %+v, want it preferred only", prefer)
	}
	if pod.Annotations[accel.InferenceAnnotation] != pool.Inference || pod.Annotations[accel.AcceleratorAnnotation] != "any" || pod.Annotations["note"] != "mine" || pod.Labels["app"] != "faces" {
		t.Errorf("annotations %v, labels %v", pod.Annotations, pod.Labels)
	}
	pod.Annotations[accel.SelectedAnnotation] = "NPU"
	bound := func(p *corev1.Pod) {
		p.Spec.NodeName, p.Status.PodIP, p.Status.HostIP = "edge-2", "10.0.0.7", "192.0.2.2"
	}
	ready := func(p *corev1.Pod) {
		bound(p)
		p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}
	}
	for name, tt := range map[string]struct {
		change  func(*corev1.Pod)
		reach   Reach
		phase   Phase
		address string
	}{
		"new":                   {func(*corev1.Pod) {}, ReachPodIP, Waiting, ""},
		"bound":                 {bound, ReachPodIP, Starting, ""},
		"ready":                 {ready, ReachPodIP, Ready, "10.0.0.7:8080"},
		"by the node's port":    {ready, ReachHostPort, Ready, "192.0.2.2:18080"},
		"IPv6":                  {func(p *corev1.Pod) { ready(p); p.Status.PodIP = "2001:db8::7" }, ReachPodIP, Ready, "[2001:db8::7]:8080"},
		"ready without address": {func(p *corev1.Pod) { ready(p); p.Status.PodIP = "" }, ReachPodIP, Unreachable, ""},
		"being deleted":         {func(p *corev1.Pod) { ready(p); p.DeletionTimestamp = &metav1.Time{Time: start} }, ReachPodIP, Gone, ""},
		"failed":                {func(p *corev1.Pod) { ready(p); p.Status.Phase = corev1.PodFailed }, ReachPodIP, Gone, ""},
		"ended":                 {func(p *corev1.Pod) { ready(p); p.Status.Phase = corev1.PodSucceeded }, ReachPodIP, Gone, ""},
	} {
		t.Run(name, func(t *testing.T) {
			p := pod.DeepCopy()
			tt.change(p)
			p.Annotations[reachAnnotation] = string(tt.reach)
			v, err := OfPod(p)
			if err != nil {
				t.Fatal(err)
			}
			if v.Phase != tt.phase || v.Address != tt.address || v.Pool != pool || v.Kind != "NPU" {
				t.Errorf("%+v; want phase %s and address %q", *v, tt.phase, tt.address)
			}
		})
	}
	pod.Annotations = nil
	if v, err := OfPod(pod); err == nil {
		t.Errorf("a pod without a pool is read as %+v", v)
	}
}
