package server

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"heteroaccel.io/pkg/inventory"
	"heteroaccel.io/pkg/profile"
	"heteroaccel.io/pkg/resources"
)

const (
	// settling is how long after it is first ready the extender may not be
	// reached yet: until the Service has its address.
	settling = 10 * time.Second
	// mostAwaited bounds the pods whose binding is awaited. One too many is not
	// judged.
	mostAwaited = 8192
)

// follower sees every pod come and go, and notices those that a scheduler
// bound without asking the extender: because it was not told to ask about the
// resource they request, or could not reach the extender.
//
// A pod is judged when it was created after the extender could be reached, was
// seen unbound, requests a resource of a profile, and whether it was asked
// about is certain.
type follower struct {
	inventory *inventory.Inventory
	profiles  *profile.Store
	memory    *memory
	ready     func() error
	counter   *prometheus.CounterVec
	log       zerolog.Logger

	mu sync.Mutex
	// reachable is since when, at the latest, the extender can be asked; zero
	// while it is not ready.
	reachable time.Time
	// uids are those of all pods there are, by name and as a set.
	uids  map[types.NamespacedName]types.UID
	known map[types.UID]struct{}
	// awaited are the unbound pods that will be judged.
	awaited map[types.NamespacedName]types.UID
	// unasked and asked are by resource, of the profiles' alone.
	unasked map[string]*unasked
	asked   map[string]time.Time
}

// unasked are the pods that request one resource and were bound unasked.
type unasked struct {
	pods int64
	// last is the latest of them, and scheduler what it names as its own.
	last      string
	scheduler string
	time      time.Time
}

// set takes a new or changed pod, which the inventory has already.
func (f *follower) set(pod *corev1.Pod) {
	name := types.NamespacedName{Namespace: pod.Namespace, Name: pod.Name}
	f.mu.Lock()
	defer f.mu.Unlock()
	if old, ok := f.uids[name]; ok && old != pod.UID {
		f.forget(name)
	}
	f.uids[name], f.known[pod.UID] = pod.UID, struct{}{}
	switch _, awaited := f.awaited[name]; {
	case pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed:
		delete(f.awaited, name)
	case pod.Spec.NodeName == "" && !awaited:
		if len(f.awaited) < mostAwaited && f.judgeable(pod) {
			f.awaited[name] = pod.UID
		}
	case pod.Spec.NodeName != "" && awaited:
		delete(f.awaited, name)
		f.judge(pod)
	}
}

// remove takes a pod's leaving.
func (f *follower) remove(name types.NamespacedName) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.forget(name)
}

func (f *follower) forget(name types.NamespacedName) {
	delete(f.known, f.uids[name])
	delete(f.uids, name)
	delete(f.awaited, name)
}

// knows reports whether there is a pod with the UID.
func (f *follower) knows(uid string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	_, ok := f.known[types.UID(uid)]
	return ok
}

// judgeable reports whether a pod was created late enough to be judged. The
// API server's times are cut to whole seconds.
func (f *follower) judgeable(pod *corev1.Pod) bool {
	if f.reachable.IsZero() {
		if f.ready() != nil {
			return false
		}
		f.reachable = f.inventory.Now().Add(settling)
	}
	return !pod.CreationTimestamp.Time.Before(f.reachable)
}

// judge counts a pod that was just bound, if nobody asked about it.
func (f *follower) judge(pod *corev1.Pod) {
	if f.memory.asked(string(pod.UID), pod.CreationTimestamp.Time) != notAsked {
		return
	}
	p := f.inventory.Pod(pod.Namespace, pod.Name)
	if p == nil || p.UID != pod.UID {
		return
	}
	resources := f.profiles.ResourceKinds()
	for _, d := range p.Needs.Devices {
		if resources[corev1.ResourceName(d.Resource)] == nil {
			continue
		}
		f.counter.WithLabelValues(d.Resource).Inc()
		u := f.unasked[d.Resource]
		if u == nil {
			u = &unasked{}
			f.unasked[d.Resource] = u
		}
		u.pods++
		u.last, u.scheduler, u.time = p.Key(), pod.Spec.SchedulerName, f.inventory.Now()
		if u.pods == 1 {
			_, before := f.asked[d.Resource]
			f.log.Warn().Str("resource", d.Resource).Str("pod", u.last).Str("scheduler", u.scheduler).
				Msg("a pod was bound and the extender was not asked: " + remedy(d.Resource, before))
		}
	}
}

// remedy says what to do about pods that nobody asked about.
func remedy(resource string, askedBefore bool) string {
	if askedBefore {
		return "it was asked about " + resource + " before, so the scheduler could not reach it, or this was another scheduler: see the scheduler's log"
	}
	return "add " + resource + " to managedResources in the scheduler's configuration, as GET /scheduler/config prints it; " +
		"if it is there, the scheduler cannot reach the extender at its urlPrefix"
}

// askedAbout notes that kube-scheduler asks about pods with these needs. The
// names may point into a request's body.
func (f *follower) askedAbout(needs resources.Amounts, now time.Time) {
	if len(needs.Devices) == 0 {
		return
	}
	resources := f.profiles.ResourceKinds()
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, d := range needs.Devices {
		if resources[corev1.ResourceName(d.Resource)] != nil {
			f.asked[strings.Clone(d.Resource)] = now
		}
	}
}

// unaskedView is a resource that a scheduler does not ask about, as JSON.
type unaskedView struct {
	Resource string `json:"resource"`
	// Pods is how many were bound without a word to the extender since it
	// started, LastPod and LastTime the latest of them.
	Pods     int64     `json:"pods"`
	LastPod  string    `json:"lastPod"`
	LastTime time.Time `json:"lastTime"`
	// Message is a sentence that says what to do.
	Message string `json:"message"`
}

// report lists the resources of which some pod was bound unasked, and none was
// asked about since.
func (f *follower) report() []unaskedView {
	f.mu.Lock()
	defer f.mu.Unlock()
	var views []unaskedView
	for _, resource := range slices.Sorted(maps.Keys(f.unasked)) {
		u := f.unasked[resource]
		asked, before := f.asked[resource]
		if asked.After(u.time) {
			continue
		}
		who := cmp.Or(u.scheduler, corev1.DefaultSchedulerName)
		pods, last := "a pod that requests "+resource+" was", u.last
		if u.pods > 1 {
			pods, last = fmt.Sprintf("%d pods that request %s were", u.pods, resource), u.last+" the last"
		}
		message := fmt.Sprintf("%s bound by %s and the extender was not asked, %s: %s", pods, who, last, remedy(resource, before))
		views = append(views, unaskedView{resource, u.pods, u.last, u.time, message})
	}
	return views
}
