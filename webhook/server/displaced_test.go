package server

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/inventory"
	"heteroaccel.io/pkg/record"
	"heteroaccel.io/webhook/replacement"
)

// TestDisplaced: a server whose Deployment's other revision holds a faster kind is known to
// be displaced by it, and a second review says the same.
func TestDisplaced(t *testing.T) {
	held := map[accel.Kind]string{}
	var asked []string
	r := newRig(t, func(c *Config) {
		c.Authenticated = true
		c.HeldByOthers = func(namespace, set string) map[accel.Kind]string {
			asked = append(asked, namespace+"/"+set)
			return held
		}
	}).paper()
	old := pod("old", "face-recognition", "any", func(p *corev1.Pod) {
		p.Spec.NodeName = "g"
		p.Spec.Containers[0].Resources.Requests = corev1.ResourceList{gpu: resource.MustParse("1")}
	})
	r.inv.SetPod(inventory.PodOf(old, testKey))
	server := func(options ...func(*corev1.Pod)) *corev1.Pod {
		return pod("", "face-recognition", "any", append([]func(*corev1.Pod){func(p *corev1.Pod) {
			p.GenerateName = "faces-2-"
			p.Spec.RestartPolicy = corev1.RestartPolicyAlways
			p.OwnerReferences = []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "ReplicaSet", Name: "faces-2", UID: "rs", Controller: new(true)}}
		}}, options...)...)
	}
	displaced := func(p *corev1.Pod) accel.Kind {
		given, ok := record.Of(p.Annotations, "default", testKey)
		if !ok {
			t.Fatal("its record does not verify")
		}
		return given.Displaced
	}
	for name, c := range map[string]struct {
		held map[accel.Kind]string
		pod  *corev1.Pod
		want accel.Kind
	}{
		"by the faster kind":       {map[accel.Kind]string{"GPU": "old"}, server(), "GPU"},
		"by none":                  {nil, server(), ""},
		"by a slower kind":         {map[accel.Kind]string{"CPU": "old"}, server(), ""},
		"by one that it may not":   {map[accel.Kind]string{"GPU": "old"}, server(func(p *corev1.Pod) { p.Annotations[accel.AcceleratorAnnotation] = "npu,cpu" }), ""},
		"ends by itself":           {map[accel.Kind]string{"GPU": "old"}, server(func(p *corev1.Pod) { p.Spec.RestartPolicy = corev1.RestartPolicyNever }), ""},
		"of no ReplicaSet":         {map[accel.Kind]string{"GPU": "old"}, server(func(p *corev1.Pod) { p.OwnerReferences[0].Kind = "StatefulSet" }), ""},
		"of nobody":                {map[accel.Kind]string{"GPU": "old"}, server(func(p *corev1.Pod) { p.OwnerReferences = nil }), ""},
		"the fastest of two kinds": {map[accel.Kind]string{"FPGA": "slow", "GPU": "old"}, server(), "GPU"},
	} {
		t.Run(name, func(t *testing.T) {
			held = c.held
			got, _ := r.admit(t, c.pod)
			if selected(got) != "NPU" || displaced(got) != c.want {
				t.Errorf("got %s, displaced from %q, want %q: %s", selected(got), displaced(got), c.want, got.Annotations[accel.ReasonAnnotation])
			}
			const why = "; pod old of another revision still has GPU: it is moved there once that is gone"
			if says := strings.Contains(got.Annotations[accel.ReasonAnnotation], why); says != (c.want != "") {
				t.Errorf("the reason is %q", got.Annotations[accel.ReasonAnnotation])
			}
			held = nil
			again, _ := r.admit(t, got)
			if displaced(again) != c.want || again.Annotations[accel.ReasonAnnotation] != got.Annotations[accel.ReasonAnnotation] {
				t.Errorf("a second review: displaced from %q: %s", displaced(again), again.Annotations[accel.ReasonAnnotation])
			}
			r.inv.ReleaseAll()
		})
	}
	if len(asked) == 0 || asked[0] != "default/faces-2" {
		t.Errorf("asked about %v", asked)
	}
}

// TestReplacesServing: the reason of what replaces a server tells that, and it is not displaced.
func TestReplacesServing(t *testing.T) {
	r := newRig(t, func(c *Config) {
		c.Authenticated = true
		c.HeldByOthers = func(string, string) map[accel.Kind]string { return map[accel.Kind]string{"GPU": "old"} }
		c.Replaces = func(string, types.UID, string, string, inventory.Trust) (replacement.Expected, bool) {
			return replacement.Expected{Kind: "NPU", From: "CPU", Serving: true}, true
		}
	}).paper()
	got, _ := r.admit(t, pod("next", "face-recognition", "any"))
	given, _ := record.Of(got.Annotations, "default", testKey)
	if why := got.Annotations[accel.ReasonAnnotation]; selected(got) != "NPU" || given.Displaced != "" || !strings.HasPrefix(why, "it replaces one that runs on CPU: ") {
		t.Errorf("got %s, displaced from %q: %s", selected(got), given.Displaced, why)
	}
	if n, counted := got.Annotations[accel.ReadmissionsAnnotation]; counted {
		t.Errorf("it counts %s re-admissions", n)
	}
}
