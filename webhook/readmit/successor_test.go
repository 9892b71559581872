package readmit

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/webhook/replacement"
)

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
	got, ok := replacement.SuccessionOf(next.Annotations, testKey, "ns", next.Name)
	if want := (replacement.Succession{SetName: "set", SetUID: "set-uid", Hash: "hash", OldName: "set-abcde", OldUID: "uid-set-abcde"}); !ok || got != want {
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
	r := &Readmitter{Config: Config{Key: testKey, Options: source(t)}, book: newBook(), followed: map[types.NamespacedName]*follow{}, strayed: make(chan struct{}, 1)}
	name := types.NamespacedName{Namespace: "ns", Name: "p"}
	f := r.follow(name)
	pod := admitted(t, "p", "r", func(p *corev1.Pod) {
		p.Annotations[accel.SuccessorAnnotation] = replacement.Succession{}.Seal(testKey, "ns", "p")
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
