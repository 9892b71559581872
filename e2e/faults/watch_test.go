//go:build faults

package faults

import (
	"fmt"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/tools/cache"

	"heteroaccel.io/e2e/soak/judge"
	"heteroaccel.io/e2e/soak/ledger"
	"heteroaccel.io/pkg/accel"
)

// ownerLabel names, on each pod of the load, who asked for it.
const ownerLabel = "owner"

// watch follows all pods from the API server: what owners have, how often each ran,
// and whether at any moment pods held more devices than there are.
type watch struct {
	*ledger.Ledger

	mu    sync.Mutex
	nodes []corev1.Node
	pods  map[types.UID]*corev1.Pod
	ran   map[string]map[types.UID]run
	twice map[string]bool
}

func follow(t *testing.T, x *site) *watch {
	t.Helper()
	nodes, err := x.client.CoreV1().Nodes().List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	w := &watch{
		Ledger: ledger.New(ownerLabel), nodes: nodes.Items, pods: map[types.UID]*corev1.Pod{},
		ran: map[string]map[types.UID]run{}, twice: map[string]bool{},
	}
	factory := informers.NewSharedInformerFactory(x.client, 0)
	handled, err := factory.Core().V1().Pods().Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: func(o any) { w.see(o.(*corev1.Pod), false) },
		UpdateFunc: func(before, now any) {
			// After a new list a pod that came back under its name is an update of the
			// one before it.
			if old := before.(*corev1.Pod); old.UID != now.(*corev1.Pod).UID {
				w.see(old, true)
			}
			w.see(now.(*corev1.Pod), false)
		},
		DeleteFunc: func(o any) {
			if last, ok := o.(cache.DeletedFinalStateUnknown); ok {
				o = last.Obj
			}
			w.see(o.(*corev1.Pod), true)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	factory.StartWithContext(t.Context())
	t.Cleanup(factory.Shutdown)
	if !cache.WaitForCacheSync(t.Context().Done(), handled.HasSynced) {
		t.Fatal("the pods could not be watched")
	}
	return w
}

func (w *watch) see(p *corev1.Pod, gone bool) {
	if gone {
		w.Delete(p, time.Now())
	} else {
		w.Set(p, time.Now())
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.pods[p.UID] = p
	if gone {
		delete(w.pods, p.UID)
	}
	all := make([]*corev1.Pod, 0, len(w.pods))
	for _, p := range w.pods {
		all = append(all, p)
	}
	for _, what := range judge.Twice(w.nodes, all) {
		w.twice[what] = true
	}
	owner := p.Labels[ownerLabel]
	if owner == "" || p.Spec.NodeName == "" || p.Labels[accel.ReleasedLabel] != "" {
		return
	}
	if w.ran[owner] == nil {
		w.ran[owner] = map[types.UID]run{}
	}
	r, again := w.ran[owner][p.UID]
	if !again {
		r.at = time.Now()
	}
	r.pod, r.gone, r.successor = p, gone, p.Labels[accel.SuccessorLabel] != ""
	w.ran[owner][p.UID] = r
}

// run is a pod that was placed.
type run struct {
	pod *corev1.Pod // as it was last
	at  time.Time
	// gone is set once it is deleted, successor while it is no ReplicaSet's yet.
	gone, successor bool
}

// once checks that so many pods of an owner were placed in all. One that was created
// to take another's place and given up before its ReplicaSet had it is none of its
// owner's: there may be one for each pod of a Deployment, and none of others.
func (w *watch) once(o owner) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	n, givenUp, said := 0, 0, ""
	for _, r := range w.ran[o.name] {
		if r.successor {
			givenUp++
		} else {
			n++
		}
		said += fmt.Sprintf("\n  %s since %s on %s for %s, successor: %t, gone: %t, owners %v", r.pod.Name, r.at.Format(time.TimeOnly), r.pod.Spec.NodeName,
			r.pod.Annotations[accel.SelectedAnnotation], r.successor, r.gone, r.pod.OwnerReferences)
	}
	most := 0
	if o.sort == deployment {
		most = o.pods
	}
	if n != o.pods || givenUp > most {
		return fmt.Errorf("%d pods of %s were placed and %d successors given up, want %d and at most %d:%s", n, o.name, givenUp, o.pods, most, said)
	}
	return nil
}

// of are the pods that an owner has now, by what was seen last.
func (w *watch) of(owner string) (pods []*corev1.Pod) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, p := range w.pods {
		if p.Labels[ownerLabel] == owner {
			pods = append(pods, p)
		}
	}
	return pods
}

// givenTwice says what was ever given out twice.
func (w *watch) givenTwice() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for what := range w.twice {
		return fmt.Errorf("a device was given out twice: %s", what)
	}
	return nil
}
