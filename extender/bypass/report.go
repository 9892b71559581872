package bypass

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// bypassed are the pods that request one resource and were bound without the
// extender being asked.
type bypassed struct {
	pods int64
	// last is the latest of them, and scheduler its spec.schedulerName.
	last      string
	scheduler string
	time      time.Time
}

// report takes a pod that was bound without the extender being asked, and warns of the
// first one of a resource. The caller holds the lock.
func (w *Watcher) report(resource, pod, scheduler string) {
	u := w.bypassed[resource]
	if u == nil {
		u = &bypassed{}
		w.bypassed[resource] = u
	}
	u.pods++
	u.last, u.scheduler, u.time = pod, scheduler, w.Inventory.Now()
	if u.pods == 1 {
		_, before := w.asked[resource]
		w.Log.Warn().Str("resource", resource).Str("pod", u.last).Str("scheduler", u.scheduler).
			Msg("a pod was bound without asking the extender: " + remedy(resource, before))
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
