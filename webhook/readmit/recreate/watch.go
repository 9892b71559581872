package recreate

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/webhook/replacement"
)

// watch is what the feed has shown of some pods since a recreation waits for
// news of them.
type watch struct {
	// news holds one item when there is any.
	news chan struct{}
	pods map[types.NamespacedName]sighting // under the Recreator's lock
}

// sighting is how a pod was seen last; the zero value is not at all.
type sighting struct {
	uid types.UID
	// bound is set when it has a node, gone when it was deleted or is about to be.
	bound, gone bool
	// ready is set while it is Ready.
	ready bool
	// verdict is the scheduler's, if it found no node.
	verdict string
}

// watch gathers the news of pods until unwatch.
func (r *Recreator) watch(names ...types.NamespacedName) *watch {
	w := &watch{news: make(chan struct{}, 1), pods: map[types.NamespacedName]sighting{}}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, name := range names {
		w.pods[name] = sighting{}
		r.watched[name] = w
	}
	return w
}

func (r *Recreator) unwatch(w *watch) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for name := range w.pods {
		if r.watched[name] == w {
			delete(r.watched, name)
		}
	}
}

// seen is how a watched pod was seen last.
func (r *Recreator) seen(w *watch, name types.NamespacedName) sighting {
	r.mu.Lock()
	defer r.mu.Unlock()
	return w.pods[name]
}

// SetPod takes a new or changed pod from the feed.
func (r *Recreator) SetPod(pod *corev1.Pod) {
	name := nameOf(pod)
	r.mu.Lock()
	defer r.mu.Unlock()
	w := r.watched[name]
	if w == nil {
		if pod.Annotations[accel.SuccessorAnnotation] != "" && pod.DeletionTimestamp == nil {
			if _, ours := replacement.SuccessionOf(pod.Annotations, r.Keys(), pod.Namespace, pod.Name); ours {
				notify(r.orphaned)
			}
		}
		return
	}
	s := sighting{uid: pod.UID, bound: pod.Spec.NodeName != "", gone: pod.DeletionTimestamp != nil}
	for _, c := range pod.Status.Conditions {
		switch {
		case c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse && c.Reason == corev1.PodReasonUnschedulable:
			s.verdict = c.Message
		case c.Type == corev1.PodReady:
			s.ready = c.Status == corev1.ConditionTrue
		}
	}
	w.pods[name] = s
	notify(w.news)
}

// DeletePod takes it from the feed that a pod was deleted.
func (r *Recreator) DeletePod(name types.NamespacedName) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if w := r.watched[name]; w != nil {
		s := w.pods[name]
		s.gone = true
		w.pods[name] = s
		notify(w.news)
	}
}

// notify puts an item into a channel with a buffer of one, unless it has one.
func notify(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

func (r *Recreator) isWatched(name types.NamespacedName) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.watched[name] != nil
}
