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
		Namespace: "default", Name: "p", UID: "uid-p", SetName: "face-detector-5d9c", SetUID: "uid-face-detector-5d9c", Deployment: "face-detector",
		Inference: "faces", Kind: "NPU", Reservation: "r-p", Displaced: "GPU", ReadySince: time.Unix(1000, 0), OptIn: true,
	}
	if diff := cmp.Diff(want, got); !ok || diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for name, change := range map[string]func(*corev1.Pod){
		"ends by itself":    func(p *corev1.Pod) { p.Spec.RestartPolicy = corev1.RestartPolicyOnFailure },
		"of a StatefulSet":  func(p *corev1.Pod) { p.OwnerReferences[0].Kind = "StatefulSet" },
		"of another API":    func(p *corev1.Pod) { p.OwnerReferences[0].APIVersion = "example.com/v1" },
		"of nobody":         func(p *corev1.Pod) { p.OwnerReferences = nil },
		"of no Deployment":  func(p *corev1.Pod) { p.OwnerReferences[0].Name = "set" },
		"failed":            func(p *corev1.Pod) { p.Status.Phase = corev1.PodFailed },
		"a copied record":   func(p *corev1.Pod) { p.Annotations[accel.ReservationAnnotation] = "another" },
		"not ours":          func(p *corev1.Pod) { delete(p.Annotations, accel.OriginalAnnotation) },
		"bound by a claim":  func(p *corev1.Pod) { *p = *aServer("p", "a-1", "NPU", `,"claim":"c"`) },
		"a forged long UID": func(p *corev1.Pod) { p.OwnerReferences[0].UID = types.UID(make([]byte, 100)) },
	} {
		if _, ok := Of(aServer("p", "a-1", "NPU", "", change), testKeys); ok {
			t.Errorf("%s: it is a server of a Deployment", name)
		}
	}
}

func TestServers(t *testing.T) {
	s := New(func() *record.Keys { return testKeys })
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
	if len(s.byName)+len(s.byOwner)+len(s.upgradable) != 0 {
		t.Errorf("%d, %d and %d are left", len(s.byName), len(s.byOwner), len(s.upgradable))
	}
}
