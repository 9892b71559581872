package recreate

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/webhook/readmit/podtest"
	"heteroaccel.io/webhook/replacement"
)

// TestWatch: the news of watched pods arrives, and a pod created first that
// nobody watches is reported once.
func TestWatch(t *testing.T) {
	r := New(Config{Keys: podtest.CurrentKeys})
	name := types.NamespacedName{Namespace: "ns", Name: "p"}
	f := r.watch(name)
	pod := podtest.Admitted(t, "p", "r", func(p *corev1.Pod) {
		p.Annotations[accel.SuccessorAnnotation] = replacement.Succession{}.Seal(podtest.Keys, "ns", "p")
	})
	r.SetPod(pod)
	if got := r.seen(f, name); got != (sighting{uid: "uid-p"}) || len(f.news) != 1 || len(r.orphaned) != 0 {
		t.Errorf("got %+v, %d news, %d orphaned", got, len(f.news), len(r.orphaned))
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
	r.unwatch(f)
	r.SetPod(pod)
	if len(r.orphaned) != 1 || r.isWatched(name) {
		t.Errorf("%d orphaned, still watched: %v", len(r.orphaned), r.isWatched(name))
	}
}
