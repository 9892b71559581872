// Package ledger keeps count of the pods that owners have.
//
// What a watch of the pods tells enters, and what the soak itself does to
// them; how many live pods each owner has, how many it is owed, and how long
// pods waited leaves. It talks to no cluster.
//
// An owner is owed the most pods it ever had at once, less those that went
// with good reason: they succeeded, the soak evicted them or made the owner
// smaller, or the scheduler evicted them for a pod of a higher priority. What
// went otherwise has to come back.
package ledger

import (
	"maps"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"heteroaccel.io/pkg/accel"
)

// Ledger is the account of one soak. Its methods may be called from several
// goroutines.
type Ledger struct {
	label string // of pods, whose value names their owner

	mu     sync.Mutex
	pods   map[types.UID]*entry
	owners map[string]*account
	waits  map[string]*wait
}

type entry struct {
	pod  *corev1.Pod
	gone bool
	// evicted is set when the soak is about to delete the pod.
	evicted bool
	settled bool // it is no longer owed
}

type account struct {
	desired, live, owed, succeeded int
	shortSince                     time.Time
	lost                           *corev1.Pod // the last one that went without good reason
	// lacksSince is since when it has fewer than it is owed, lacked the longest
	// that it ever had.
	lacksSince time.Time
	lacked     time.Duration
}

type wait struct{ since, bound time.Time }

// New returns an empty ledger of the pods with a label.
func New(label string) *Ledger {
	return &Ledger{label: label, pods: map[types.UID]*entry{}, owners: map[string]*account{}, waits: map[string]*wait{}}
}

// Want says how many pods an owner is to have at a time from now on.
func (l *Ledger) Want(owner string, pods int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	a := l.account(owner)
	a.desired, a.owed = pods, min(a.owed, pods)
}

// Evict says that the soak is about to delete a pod.
func (l *Ledger) Evict(uid types.UID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if e := l.pods[uid]; e != nil {
		e.evicted = true
	}
}

// Set takes a pod as it is at a moment.
func (l *Ledger) Set(pod *corev1.Pod, now time.Time) {
	owner := pod.Labels[l.label]
	if owner == "" {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	e := l.pods[pod.UID]
	if e == nil {
		e = &entry{}
		l.pods[pod.UID] = e
	}
	e.pod = pod
	l.wait(pod, now)
	l.count(owner, now)
}

// Delete takes a pod's leaving, as it was last.
func (l *Ledger) Delete(pod *corev1.Pod, now time.Time) {
	l.Set(pod, now)
	l.mu.Lock()
	defer l.mu.Unlock()
	if e := l.pods[pod.UID]; e != nil {
		e.gone = true
		l.count(pod.Labels[l.label], now)
	}
}

// count brings an owner's account up to date; it expects the lock.
func (l *Ledger) count(owner string, now time.Time) {
	a := l.account(owner)
	before := a.live
	a.live, a.succeeded = 0, 0
	for _, e := range l.pods {
		if e.pod.Labels[l.label] != owner {
			continue
		}
		if e.pod.Status.Phase == corev1.PodSucceeded {
			a.succeeded++
		}
		if Live(e.pod) && !e.gone {
			a.live++
			continue
		}
		if e.settled {
			continue
		}
		e.settled = true
		if e.evicted || e.pod.Status.Phase == corev1.PodSucceeded || Preempted(e.pod) {
			a.owed = max(0, a.owed-1)
		} else {
			a.lost = e.pod
		}
	}
	a.owed = max(a.owed, min(a.live, a.desired))
	switch {
	case a.live < a.owed && a.lacksSince.IsZero():
		a.lacksSince = now
	case a.live >= a.owed && !a.lacksSince.IsZero():
		a.lacked, a.lacksSince = max(a.lacked, now.Sub(a.lacksSince)), time.Time{}
	}
	switch {
	case a.live >= a.desired:
		a.shortSince = time.Time{}
	case a.live < before || a.shortSince.IsZero():
		a.shortSince = now
	}
}

// wait notes since when a pod waits, and when it was bound. One that comes back
// under its name waits on.
func (l *Ledger) wait(pod *corev1.Pod, now time.Time) {
	key := pod.Namespace + "/" + pod.Name
	w := l.waits[key]
	if w == nil || !w.bound.IsZero() && pod.Spec.NodeName == "" {
		w = &wait{since: now}
		l.waits[key] = w
	}
	if pod.Spec.NodeName != "" && w.bound.IsZero() {
		w.bound = now
	}
}

func (l *Ledger) account(owner string) *account {
	if l.owners[owner] == nil {
		l.owners[owner] = &account{}
	}
	return l.owners[owner]
}

// Standing is how an owner's account stands.
type Standing struct {
	// Desired, Live and Owed count pods; see the package. Succeeded are those
	// that were seen to.
	Desired, Live, Owed, Succeeded int
	// ShortSince is since when it has fewer than it wants; zero if it has not.
	ShortSince time.Time
	// Lost is the last pod that went without good reason; nil for none.
	Lost *corev1.Pod
}

// Of returns an owner's standing.
func (l *Ledger) Of(owner string) Standing {
	l.mu.Lock()
	defer l.mu.Unlock()
	a := l.account(owner)
	return Standing{a.desired, a.live, a.owed, a.succeeded, a.shortSince, a.lost}
}

// Pods are those that are there, by namespace and name.
func (l *Ledger) Pods() []*corev1.Pod {
	l.mu.Lock()
	defer l.mu.Unlock()
	var pods []*corev1.Pod
	for _, e := range l.pods {
		if !e.gone {
			pods = append(pods, e.pod)
		}
	}
	slices.SortFunc(pods, func(a, b *corev1.Pod) int {
		if a.Namespace != b.Namespace {
			return compare(a.Namespace, b.Namespace)
		}
		return compare(a.Name, b.Name)
	})
	return pods
}

func compare(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// Since is since when a pod of that name waits.
func (l *Ledger) Since(namespace, name string) time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	if w := l.waits[namespace+"/"+name]; w != nil {
		return w.since
	}
	return time.Time{}
}

// Waits are how long the pods waited that were bound, shortest first.
func (l *Ledger) Waits() []time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	var all []time.Duration
	for w := range maps.Values(l.waits) {
		if !w.bound.IsZero() {
			all = append(all, w.bound.Sub(w.since))
		}
	}
	slices.Sort(all)
	return all
}

// Lacked is the longest that an owner was without a pod that it is owed, now
// included.
func (l *Ledger) Lacked(now time.Time) (owner string, longest time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(l.owners)) {
		a := l.owners[name]
		lacked := a.lacked
		if !a.lacksSince.IsZero() {
			lacked = max(lacked, now.Sub(a.lacksSince))
		}
		if lacked > longest {
			owner, longest = name, lacked
		}
	}
	return owner, longest
}

// Made counts the pods that were seen.
func (l *Ledger) Made() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.pods)
}

// Live reports whether a pod counts as one of its owner's: it has not ended,
// is not being deleted, was not released from its Job, and is not about to be
// adopted by a ReplicaSet in the place of another.
func Live(pod *corev1.Pod) bool {
	return pod.DeletionTimestamp == nil && pod.Status.Phase != corev1.PodSucceeded && pod.Status.Phase != corev1.PodFailed &&
		pod.Labels[accel.ReleasedLabel] == "" && pod.Labels[accel.SuccessorLabel] == ""
}

// Waiting reports whether a pod of ours waits for the scheduler.
func Waiting(pod *corev1.Pod) bool {
	return Live(pod) && pod.Spec.NodeName == "" && metav1.HasAnnotation(pod.ObjectMeta, accel.SelectedAnnotation)
}

// Preempted reports whether the scheduler evicted a pod for another.
func Preempted(pod *corev1.Pod) bool {
	return slices.ContainsFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.DisruptionTarget && c.Status == corev1.ConditionTrue && c.Reason == corev1.PodReasonPreemptionByScheduler
	})
}
