package readmit

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/webhook/replacement"
)

// follow is what the feed has shown of some pods since somebody waits for news
// of them.
type follow struct {
	// news holds one item when there is any.
	news chan struct{}
	pods map[types.NamespacedName]sight // under the Readmitter's lock
}

// sight is how a pod was seen last; the zero value is not at all.
type sight struct {
	uid types.UID
	// bound is set when it has a node, gone when it was deleted or is about to be.
	bound, gone bool
	// words are the scheduler's, if it found no node.
	words string
}

// follow has the news of pods gathered until unfollow.
func (r *Readmitter) follow(names ...types.NamespacedName) *follow {
	f := &follow{news: make(chan struct{}, 1), pods: map[types.NamespacedName]sight{}}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, name := range names {
		f.pods[name] = sight{}
		r.followed[name] = f
	}
	return f
}

func (r *Readmitter) unfollow(f *follow) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for name := range f.pods {
		if r.followed[name] == f {
			delete(r.followed, name)
		}
	}
}

// seen is how a followed pod was seen last.
func (r *Readmitter) seen(f *follow, name types.NamespacedName) sight {
	r.mu.Lock()
	defer r.mu.Unlock()
	return f.pods[name]
}

// sight takes a pod from the feed; the caller holds the lock.
func (r *Readmitter) sight(pod *corev1.Pod) {
	name := types.NamespacedName{Namespace: pod.Namespace, Name: pod.Name}
	f := r.followed[name]
	if f == nil {
		if pod.Annotations[accel.SuccessorAnnotation] != "" && pod.DeletionTimestamp == nil {
			if _, ours := replacement.SuccessionOf(pod.Annotations, r.Key, pod.Namespace, pod.Name); ours {
				tell(r.strayed)
			}
		}
		return
	}
	s := sight{uid: pod.UID, bound: pod.Spec.NodeName != "", gone: pod.DeletionTimestamp != nil}
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse && c.Reason == corev1.PodReasonUnschedulable {
			s.words = c.Message
		}
	}
	f.pods[name] = s
	tell(f.news)
}

// lose takes a pod's leaving from the feed; the caller holds the lock.
func (r *Readmitter) lose(name types.NamespacedName) {
	if f := r.followed[name]; f != nil {
		s := f.pods[name]
		s.gone = true
		f.pods[name] = s
		tell(f.news)
	}
}

// tell puts an item into a channel that has room for one, unless there is one.
func tell(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
