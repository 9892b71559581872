package bypass

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
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
	// Registerer takes the counter of bypassed pods; nil leaves it unregistered.
	Registerer prometheus.Registerer
	Log        zerolog.Logger
}

// Watcher watches every pod until it is bound. It checks a pod that was created
// once the extender could be reached, was seen unbound and requests a resource
// of a profile, if the history can tell for certain that nobody asked about it.
type Watcher struct {
	Config
	counter *prometheus.CounterVec

	mu sync.Mutex
	// reachable is since when, at the latest, the extender can be reached; zero
	// while it is not ready.
	reachable time.Time
	// unbound are the pods that are checked when they are bound.
	unbound map[types.NamespacedName]types.UID
	// bypassed and asked are by resource, only of resources of profiles.
	bypassed map[string]*bypassed
	asked    map[string]time.Time
}

// New returns a watcher that has seen no pod yet.
func New(c Config) *Watcher {
	return &Watcher{
		Config: c,
		counter: promauto.With(c.Registerer).NewCounterVec(prometheus.CounterOpts{
			Name: "heteroaccel_extender_bypassed_pods_total",
			Help: "Pods that request a profile's resource and were bound without the extender being asked, by resource.",
		}, []string{"resource"}),
		unbound:  map[types.NamespacedName]types.UID{},
		bypassed: map[string]*bypassed{},
		asked:    map[string]time.Time{},
	}
}

// bypassed are the pods that request one resource and were bound without the
// extender being asked.
type bypassed struct {
	pods int64
	// last is the latest of them, and scheduler its spec.schedulerName.
	last      string
	scheduler string
	time      time.Time
}

// SetPod takes a new or changed pod, which the inventory has already.
func (w *Watcher) SetPod(pod *corev1.Pod) {
	name := types.NamespacedName{Namespace: pod.Namespace, Name: pod.Name}
	w.mu.Lock()
	defer w.mu.Unlock()
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

// check counts a pod that was just bound, if nobody asked about it. The caller
// holds the lock.
func (w *Watcher) check(pod *corev1.Pod) {
	if w.History.Asked(string(pod.UID), pod.CreationTimestamp.Time) != history.No {
		return
	}
	p := w.Inventory.Pod(pod.Namespace, pod.Name)
	if p == nil || p.UID != pod.UID {
		return
	}
	kinds := w.Profiles.ResourceKinds()
	for _, d := range p.Needs.Devices {
		if kinds[corev1.ResourceName(d.Resource)] == nil {
			continue
		}
		w.counter.WithLabelValues(d.Resource).Inc()
		u := w.bypassed[d.Resource]
		if u == nil {
			u = &bypassed{}
			w.bypassed[d.Resource] = u
		}
		u.pods++
		u.last, u.scheduler, u.time = p.Key(), pod.Spec.SchedulerName, w.Inventory.Now()
		if u.pods == 1 {
			_, before := w.asked[d.Resource]
			w.Log.Warn().Str("resource", d.Resource).Str("pod", u.last).Str("scheduler", u.scheduler).
				Msg("a pod was bound without asking the extender: " + remedy(d.Resource, before))
		}
	}
}

// remedy says what to do about bypassed pods.
func remedy(resource string, askedBefore bool) string {
	if askedBefore {
		return "the extender was asked about " + resource + " before, so the scheduler could not reach it, or this is another scheduler: see the scheduler's log"
	}
	return "add " + resource + " to managedResources in the scheduler's configuration, as GET /scheduler/config prints it; " +
		"if it is there, the scheduler cannot reach the extender at its urlPrefix"
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

// Report is a resource whose pods bypass the extender, as JSON.
type Report struct {
	Resource string `json:"resource"`
	// Pods is how many were bound without the extender being asked since it
	// started, LastPod and LastTime the latest of them.
	Pods     int64     `json:"pods"`
	LastPod  string    `json:"lastPod"`
	LastTime time.Time `json:"lastTime"`
	// Message is a sentence that says what to do.
	Message string `json:"message"`
}

// Report lists the resources with a bypassed pod that the scheduler has not
// asked about since, sorted by name.
func (w *Watcher) Report() []Report {
	w.mu.Lock()
	defer w.mu.Unlock()
	var reports []Report
	for _, resource := range slices.Sorted(maps.Keys(w.bypassed)) {
		u := w.bypassed[resource]
		asked, before := w.asked[resource]
		if asked.After(u.time) {
			continue
		}
		who := cmp.Or(u.scheduler, corev1.DefaultSchedulerName)
		pods, last := "a pod that requests "+resource, u.last
		if u.pods > 1 {
			pods, last = fmt.Sprintf("%d pods that request %s", u.pods, resource), "the last is "+u.last
		}
		message := fmt.Sprintf("%s bound %s without asking the extender (%s): %s", who, pods, last, remedy(resource, before))
		reports = append(reports, Report{resource, u.pods, u.last, u.time, message})
	}
	return reports
}
