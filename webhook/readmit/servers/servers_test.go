package servers

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/record"
)

var testKeys = record.NewKeys([]byte("a key of the tests, 32 bytes long"))

// aServer is a pod of a ReplicaSet that runs on a kind; content is what its record says
// besides.
func aServer(name, set, kind, content string, options ...func(*corev1.Pod)) *corev1.Pod {
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "default", Name: name, UID: types.UID("uid-" + name),
			Annotations:     map[string]string{accel.ReservationAnnotation: "r-" + name},
			OwnerReferences: []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "ReplicaSet", Name: set, UID: types.UID("uid-" + set), Controller: new(true)}},
		},
		Spec: corev1.PodSpec{RestartPolicy: corev1.RestartPolicyAlways},
		Status: corev1.PodStatus{Phase: corev1.PodRunning, Conditions: []corev1.PodCondition{
			{Type: corev1.PodReady, Status: corev1.ConditionTrue, LastTransitionTime: metav1.Unix(1000, 0)},
		}},
	}
	p.Annotations[accel.OriginalAnnotation] = record.Seal(`{"inference":"faces","kind":"`+kind+`"`+content+`}`, testKeys, "default", "r-"+name)
	for _, o := range options {
		o(p)
	}
	return p
}

func asks(value string) func(*corev1.Pod) {
	return func(p *corev1.Pod) { p.Annotations[accel.UpgradeAnnotation] = value }
}

func TestOf(t *testing.T) {
	got, ok := Of(aServer("p", "face-detector-5d9c", "NPU", `,"displaced":"GPU"`, asks("True ")), testKeys)
	want := &Server{
		Namespace: "default", Name: "p", UID: "uid-p", SetKind: "ReplicaSet", SetName: "face-detector-5d9c", SetUID: "uid-face-detector-5d9c", Deployment: "face-detector",
		Inference: "faces", Kind: "NPU", Reservation: "r-p", Displaced: "GPU", ReadySince: time.Unix(1000, 0), OptIn: true,
	}
	if diff := cmp.Diff(want, got); !ok || diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for name, change := range map[string]func(*corev1.Pod){
		"ends by itself":    func(p *corev1.Pod) { p.Spec.RestartPolicy = corev1.RestartPolicyOnFailure },
		"of a DaemonSet":    func(p *corev1.Pod) { p.OwnerReferences[0].Kind = "DaemonSet" },
		"of another API":    func(p *corev1.Pod) { p.OwnerReferences[0].APIVersion = "example.com/v1" },
		"of nobody":         func(p *corev1.Pod) { p.OwnerReferences = nil },
		"failed":            func(p *corev1.Pod) { p.Status.Phase = corev1.PodFailed },
		"a copied record":   func(p *corev1.Pod) { p.Annotations[accel.ReservationAnnotation] = "another" },
		"not ours":          func(p *corev1.Pod) { delete(p.Annotations, accel.OriginalAnnotation) },
		"a forged long UID": func(p *corev1.Pod) { p.OwnerReferences[0].UID = types.UID(make([]byte, 100)) },
	} {
		if _, ok := Of(aServer("p", "a-1", "NPU", "", change), testKeys); ok {
			t.Errorf("%s: it is a server of a Deployment", name)
		}
	}
}

func TestOwner(t *testing.T) {
	of := func(kind, apiVersion, name string) *Server {
		s, ok := Of(aServer("p", name, "NPU", "", func(p *corev1.Pod) {
			p.OwnerReferences[0].Kind, p.OwnerReferences[0].APIVersion = kind, apiVersion
		}), testKeys)
		if !ok {
			t.Fatalf("%s %s has no server", kind, name)
		}
		return s
	}
	for want, s := range map[string]*Server{
		"faces": of("ReplicaSet", "apps/v1", "faces-5d9c"), "ReplicaSet/faces": of("ReplicaSet", "apps/v1", "faces"),
		"StatefulSet/faces-5d9c": of("StatefulSet", "apps/v1", "faces-5d9c"), "ReplicationController/faces": of("ReplicationController", "v1", "faces"),
	} {
		if got := s.Owner().Name; got != want {
			t.Errorf("%s %s: its owner is %s, want %s", s.SetKind, s.SetName, got, want)
		}
	}
}

func TestCostOf(t *testing.T) {
	for name, c := range map[string]struct {
		annotations map[string]string
		cost        int
		own         bool
	}{
		"none":         {nil, 0, false},
		"its owner's":  {map[string]string{corev1.PodDeletionCost: "7"}, 7, true},
		"ours":         {map[string]string{corev1.PodDeletionCost: "7", accel.DeletionCostAnnotation: "7"}, 7, false},
		"changed":      {map[string]string{corev1.PodDeletionCost: "8", accel.DeletionCostAnnotation: "7"}, 8, true},
		"removed":      {map[string]string{accel.DeletionCostAnnotation: "7"}, 0, false},
		"not a number": {map[string]string{corev1.PodDeletionCost: "x", accel.DeletionCostAnnotation: "x"}, 0, true},
	} {
		if cost, own := CostOf(c.annotations); cost != c.cost || own != c.own {
			t.Errorf("%s: %d, %t; want %d, %t", name, cost, own, c.cost, c.own)
		}
	}
}

func TestServers(t *testing.T) {
	inProfile := ""
	s := New(func() *record.Keys { return testKeys }, func(inference string) bool { return inference == inProfile })
	names := func() (names []string) {
		for _, server := range s.Upgradable() {
			names = append(names, server.Name)
		}
		return names
	}
	old := aServer("old", "a-1", "GPU", "")
	if !s.Set(old) || s.Set(old) {
		t.Error("want a new server noticed once")
	}
	if held := s.HeldByOthers("default", "a-2"); held["GPU"] != "old" || len(held) != 1 {
		t.Errorf("the next revision sees %v", held)
	}
	if held := s.HeldByOthers("default", "a-1"); len(held) > 0 || len(s.HeldByOthers("other", "a-2"))+len(s.HeldByOthers("default", "b-2")) > 0 {
		t.Errorf("its own revision sees %v", held)
	}
	s.Set(aServer("asks", "b-1", "NPU", "", asks("true")))
	s.Set(aServer("next", "a-2", "NPU", `,"displaced":"GPU"`))
	s.Set(aServer("never", "a-2", "NPU", `,"displaced":"GPU"`, asks("false")))
	if diff := cmp.Diff([]string{"next", "asks"}, names()); diff != "" {
		t.Errorf("may be moved (-want +got):\n%s", diff)
	}
	inProfile = "faces"
	if diff := cmp.Diff([]string{"next", "asks", "old"}, names()); diff != "" {
		t.Errorf("may be moved where the profile asks (-want +got):\n%s", diff)
	}
	inProfile = ""
	next := s.Upgradable()[0]
	if !s.RollsOut(next) {
		t.Error("its rollout is over while a pod of before is there")
	}
	if !s.Set(aServer("old", "a-1", "GPU", "", func(p *corev1.Pod) { p.DeletionTimestamp = &metav1.Time{} })) || !s.RollsOut(next) {
		t.Error("a pod that is being deleted holds nothing")
	}
	if !s.Delete(types.NamespacedName{Namespace: "default", Name: "old"}) || s.RollsOut(next) {
		t.Error("its rollout goes on without any other pod")
	}
	if !s.Set(aServer("next", "a-2", "NPU", "", func(p *corev1.Pod) { p.Status.Phase = corev1.PodFailed })) {
		t.Error("a server that ended is not noticed")
	}
	for _, name := range []string{"asks", "never", "next"} {
		s.Delete(types.NamespacedName{Namespace: "default", Name: name})
	}
	if len(s.byName)+len(s.byOwner) != 0 {
		t.Errorf("%d and %d are left", len(s.byName), len(s.byOwner))
	}
}
