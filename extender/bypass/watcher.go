package bypass

import (
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"heteroaccel.io/extender/history"
	"heteroaccel.io/pkg/inventory"
	"heteroaccel.io/pkg/profile"
	"heteroaccel.io/pkg/resources"
)

const (
	// settling is how long after it is first ready the extender may still be out
	// of reach: until the Service has its address.
	settling = 10 * time.Second
	// maxUnbound bounds the unbound pods that are watched. Those beyond it are not
	// checked.
	maxUnbound = 8192
)

// Config is what a watcher reads and reports to. All of it is needed but
// Registerer.
type Config struct {
	Inventory *inventory.Inventory
	Profiles  *profile.Store
	History   *history.Store
	// Ready says why the extender cannot answer yet, or nil.
	Ready func() error
	// Other reports whether a pod is another replica of the extender.
	Other func(*corev1.Pod) bool
	// Registerer takes the counters; nil leaves them unregistered.
	Registerer prometheus.Registerer
	Log        zerolog.Logger
}

// Watcher watches every pod until it is bound. It checks a pod that was created
// once the extender could be reached, was seen unbound and requests a resource
// of a profile, if the history can tell for certain that nobody asked about it.
type Watcher struct {
	Config

	mu sync.Mutex
	// reachable is since when, at the latest, the extender can be reached; zero
	// while it is not ready.
	reachable time.Time
	// unbound are the pods that are checked when they are bound.
	unbound map[types.NamespacedName]types.UID
	// others are the other replicas that run.
	others map[types.NamespacedName]bool
	// bound, bypassed and asked are by resource, only of resources of profiles.
	bound    map[string]counts
	bypassed map[string]*bypassed
	asked    map[string]time.Time
}

// New returns a watcher that has seen no pod yet.
func New(c Config) *Watcher {
	w := &Watcher{
		Config:   c,
		unbound:  map[types.NamespacedName]types.UID{},
		others:   map[types.NamespacedName]bool{},
		bound:    map[string]counts{},
		bypassed: map[string]*bypassed{},
		asked:    map[string]time.Time{},
	}
	if c.Registerer != nil {
		c.Registerer.MustRegister(w)
	}
	return w
}

// SetPod takes a new or changed pod, which the inventory has already.
func (w *Watcher) SetPod(pod *corev1.Pod) {
	name := types.NamespacedName{Namespace: pod.Namespace, Name: pod.Name}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.follow(name, pod)
	if uid, ok := w.unbound[name]; ok && uid != pod.UID {
		delete(w.unbound, name)
	}
	switch _, watched := w.unbound[name]; {
	case pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed:
		delete(w.unbound, name)
	case pod.Spec.NodeName == "" && !watched:
		if len(w.unbound) < maxUnbound && w.recent(pod) {
			w.unbound[name] = pod.UID
		}
	case pod.Spec.NodeName != "" && watched:
		delete(w.unbound, name)
		w.check(pod)
	}
}

// DeletePod takes a pod that is gone.
func (w *Watcher) DeletePod(name types.NamespacedName) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.unbound, name)
	delete(w.others, name)
}

// follow keeps account of the other replicas. The caller holds the lock.
func (w *Watcher) follow(name types.NamespacedName, pod *corev1.Pod) {
	if pod.Status.Phase == corev1.PodRunning && w.Other(pod) {
		w.others[name] = true
		return
	}
	delete(w.others, name)
}

// Alone reports whether no other replica runs, which kube-scheduler could ask.
func (w *Watcher) Alone() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.others) == 0
}

// recent reports whether a pod was created since the extender can be reached.
// The API server cuts times to whole seconds. The caller holds the lock.
func (w *Watcher) recent(pod *corev1.Pod) bool {
	if w.reachable.IsZero() {
		if w.Ready() != nil {
			return false
		}
		w.reachable = w.Inventory.Now().Add(settling)
	}
	return !pod.CreationTimestamp.Time.Before(w.reachable)
}

// check counts a pod that was just bound, and whether it was asked about. The
// caller holds the lock.
func (w *Watcher) check(pod *corev1.Pod) {
	asked := w.History.Asked(string(pod.UID), pod.CreationTimestamp.Time)
	p := w.Inventory.Pod(pod.Namespace, pod.Name)
	if asked == history.Unknown || p == nil || p.UID != pod.UID {
		return
	}
	kinds := w.Profiles.ResourceKinds()
	for _, d := range p.Needs.Devices {
		if kinds[corev1.ResourceName(d.Resource)] == nil {
			continue
		}
		n := w.bound[d.Resource]
		if asked == history.Yes {
			n.asked++
		} else {
			n.bypassed++
		}
		w.bound[d.Resource] = n
		if asked == history.No && len(w.others) == 0 {
			w.report(d.Resource, p.Key(), pod.Spec.SchedulerName)
		}
	}
}

// AskedAbout notes that kube-scheduler asked about a pod with these needs. The
// names may point into the body of a request.
func (w *Watcher) AskedAbout(needs resources.Amounts, now time.Time) {
	if len(needs.Devices) == 0 {
		return
	}
	kinds := w.Profiles.ResourceKinds()
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, d := range needs.Devices {
		if kinds[corev1.ResourceName(d.Resource)] != nil {
			w.asked[strings.Clone(d.Resource)] = now
		}
	}
}
