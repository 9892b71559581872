package readmit

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"heteroaccel.io/pkg/accel"
)

// TestSuccession: what stands on a pod that was created first is believed of
// that pod only, and only if we wrote it.
func TestSuccession(t *testing.T) {
	want := succession{"set", "set-uid", "hash", "old", "old-uid"}
	sealed := want.seal(testKey, "ns", "next")
	for name, c := range map[string]struct {
		said, namespace, pod string
		want                 bool
	}{
		"its own":           {sealed, "ns", "next", true},
		"another name":      {sealed, "ns", "other", false},
		"another namespace": {sealed, "other", "next", false},
		"another set":       {"x" + sealed, "ns", "next", false},
		"another key":       {want.seal([]byte("another"), "ns", "next"), "ns", "next", false},
		"no code":           {"set/set-uid/hash/old/old-uid/", "ns", "next", false},
		"too few parts":     {"set", "ns", "next", false},
		"nothing":           {"", "ns", "next", false},
	} {
		t.Run(name, func(t *testing.T) {
			annotations := map[string]string{accel.SuccessorAnnotation: c.said}
			got, ok := successionOf(annotations, testKey, c.namespace, c.pod)
			if ok != c.want || ok && got != want {
				t.Errorf("got %+v, %v, want %v", got, ok, c.want)
			}
			if set, ok := Succeeds(annotations, testKey, c.namespace, c.pod); ok != c.want || ok && set != "set-uid" {
				t.Errorf("it succeeds in %q, %v, want %v", set, ok, c.want)
			}
		})
	}
}

// TestSuccessor: the next pod is no ReplicaSet's until it is adopted, and no
// pod that waits.
func TestSuccessor(t *testing.T) {
	old := admitted(t, "set-abcde", "r", func(p *corev1.Pod) {
		p.GenerateName, p.Labels = "set-", map[string]string{"app": "a", appsv1.DefaultDeploymentUniqueLabelKey: "hash"}
		p.OwnerReferences = []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "ReplicaSet", Name: "set", UID: "set-uid", Controller: new(true)}}
	})
	w, ok := waiterOf(old, testKey)
	if !ok || w.hash != "hash" {
		t.Fatalf("the pod waits: %v, hash %q", ok, w.hash)
	}
	c := &controller{kind: "ReplicaSet", uid: "set-uid", hash: "hash", template: corev1.PodTemplateSpec{Spec: old.Spec}}
	next := c.successor(w, old, testKey)
	if len(next.Name) != len("set-")+5 || next.GenerateName != "set-" || len(next.OwnerReferences) != 0 {
		t.Errorf("it is named %q of %q and owned by %v", next.Name, next.GenerateName, next.OwnerReferences)
	}
	if diff := cmp.Diff(map[string]string{"app": "a", accel.SuccessorLabel: "true"}, next.Labels); diff != "" {
		t.Errorf("labels (-want +got):\n%s", diff)
	}
	if old.Labels[appsv1.DefaultDeploymentUniqueLabelKey] != "hash" {
		t.Error("the pod that waits was changed")
	}
	got, ok := successionOf(next.Annotations, testKey, "ns", next.Name)
	if want := (succession{"set", "set-uid", "hash", "set-abcde", "uid-set-abcde"}); !ok || got != want {
		t.Errorf("it comes in the place of %+v, %v, want %+v", got, ok, want)
	}
	marked := admitted(t, next.Name, "r2")
	marked.Annotations[accel.SuccessorAnnotation] = next.Annotations[accel.SuccessorAnnotation]
	if _, waits := waiterOf(marked, testKey); waits {
		t.Error("it would be recreated itself")
	}
}

func TestHashOf(t *testing.T) {
	set := func(change func(*appsv1.ReplicaSet)) *appsv1.ReplicaSet {
		o := &appsv1.ReplicaSet{
			ObjectMeta: metav1.ObjectMeta{OwnerReferences: []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "Deployment", Name: "d", Controller: new(true)}}},
			Spec:       appsv1.ReplicaSetSpec{Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "a", appsv1.DefaultDeploymentUniqueLabelKey: "hash"}}},
		}
		change(o)
		return o
	}
	for name, c := range map[string]struct {
		change func(*appsv1.ReplicaSet)
		want   string
	}{
		"a Deployment's":        {func(*appsv1.ReplicaSet) {}, "hash"},
		"nobody's":              {func(o *appsv1.ReplicaSet) { o.OwnerReferences = nil }, ""},
		"somebody's Deployment": {func(o *appsv1.ReplicaSet) { o.OwnerReferences[0].APIVersion = "example.com/v1" }, ""},
		"being deleted":         {func(o *appsv1.ReplicaSet) { o.DeletionTimestamp = &metav1.Time{} }, ""},
		"selects without a hash": {func(o *appsv1.ReplicaSet) {
			delete(o.Spec.Selector.MatchLabels, appsv1.DefaultDeploymentUniqueLabelKey)
		}, ""},
		"no selector": {func(o *appsv1.ReplicaSet) { o.Spec.Selector = nil }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			if got := hashOf(set(c.change)); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

// TestFollow: the news of followed pods arrives, and a pod created first that
// nobody follows is reported once.
func TestFollow(t *testing.T) {
	r := &Readmitter{Config: Config{Key: testKey, Options: source(t)}, book: newBook(), tickets: tickets{}, followed: map[types.NamespacedName]*follow{}, strayed: make(chan struct{}, 1)}
	name := types.NamespacedName{Namespace: "ns", Name: "p"}
	f := r.follow(name)
	pod := admitted(t, "p", "r", func(p *corev1.Pod) {
		p.Annotations[accel.SuccessorAnnotation] = succession{}.seal(testKey, "ns", "p")
	})
	r.SetPod(pod)
	if got := r.seen(f, name); got != (sight{uid: "uid-p"}) || len(f.news) != 1 || len(r.strayed) != 0 {
		t.Errorf("got %+v, %d news, %d strayed", got, len(f.news), len(r.strayed))
	}
	pod.Spec.NodeName = "n"
	r.SetPod(pod)
	if got := r.seen(f, name); !got.bound || got.gone {
		t.Errorf("once bound: %+v", got)
	}
	r.DeletePod(name)
	if got := r.seen(f, name); !got.gone {
		t.Errorf("once deleted: %+v", got)
	}
	r.unfollow(f)
	r.SetPod(pod)
	if len(r.strayed) != 1 || r.isFollowed(name) {
		t.Errorf("%d strayed, still followed: %v", len(r.strayed), r.isFollowed(name))
	}
}

// TestRecall: a ticket that was taken is taken back with what it turned into,
// and can be issued elsewhere.
func TestRecall(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	all, k := tickets{}, &Ticket{Hold: "hold"}
	next, set := placeOf("ns", "", "next"), placeOf("ns", "set", "")
	all.issue(next, k, now)
	all.take(next, "r", now)
	all.recall(next, k)
	if _, ok := all.next(next, now); ok || k.Hold != "r" {
		t.Errorf("it is still there: %v, and holds %q", ok, k.Hold)
	}
	all.issue(set, k, now)
	if got, ok := all.take(set, "r2", now); !ok || got.Hold != "r" {
		t.Errorf("got %+v, %v", got, ok)
	}
}
