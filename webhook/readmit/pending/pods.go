package pending

import (
	"maps"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/record"
	"heteroaccel.io/pkg/text"
)

// Pods are the pending pods by name, and which pod carries which reservation.
// Its methods may be called from any goroutine. Use NewPods.
type Pods struct {
	keys func() *record.Keys // verify records

	mu        sync.Mutex
	pending   map[types.NamespacedName]*Pod
	templates map[string]*members
	// sizes are those of the templates of a namespace together.
	sizes map[string]int
	// carriers counts the live pods that carry a reservation: its record is
	// accepted of one pod only.
	carriers map[reservation]int
	observed map[types.NamespacedName]observation
	// admitted counts the live pods of a controller by the kind they were
	// admitted with.
	admitted map[precedent]int
}

// precedent is that a pod of a controller was admitted with a kind.
type precedent struct {
	controller types.UID
	kind       accel.Kind
}

// members counts the pending pods of a template.
type members struct {
	template *Template
	n        int
}

type reservation struct{ namespace, id string }

// observation is what a pod was last seen with.
type observation struct {
	uid         types.UID
	reservation string
	precedent   precedent // the zero value for none
	bound       bool
	// changed is set once the pod has carried two reservations. That is never
	// our doing.
	changed bool
}

// NewPods returns an empty set; keys, as they are now, verify the records of pods.
func NewPods(keys func() *record.Keys) *Pods {
	return &Pods{
		keys:    keys,
		pending: map[types.NamespacedName]*Pod{}, templates: map[string]*members{}, sizes: map[string]int{},
		carriers: map[reservation]int{}, observed: map[types.NamespacedName]observation{}, admitted: map[precedent]int{},
	}
}

// Set takes a new or changed pod, seen now. bound is set once for a pod that carries a
// reservation: when it is seen bound, and was seen before it was.
func (s *Pods) Set(pod *corev1.Pod, now time.Time) (bound bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	name := types.NamespacedName{Namespace: pod.Namespace, Name: pod.Name}
	before, last := s.pending[name], s.observed[name]
	s.observe(pod)
	p, ok := Of(pod, s.keys())
	if !ok {
		return last.uid == pod.UID && last.reservation != "" && !last.bound && pod.Spec.NodeName != ""
	}
	if p.VerdictSince = now; before != nil && before.UID == p.UID && before.Unschedulable && before.Verdict == p.Verdict {
		p.VerdictSince = before.VerdictSince
	}
	m := s.templates[p.Template.Key]
	if m == nil {
		if size := p.Template.size; size > maxTemplate || s.sizes[p.Namespace]+size > maxTemplates {
			return false // it waits for the kind that it got
		}
		m = &members{template: p.Template}
		s.templates[p.Template.Key] = m
		s.sizes[p.Namespace] += p.Template.size
	}
	m.n++
	p.Template = m.template
	s.pending[p.Key()] = p
	return false
}

// SetForeign takes a new or changed pod that is not ours to recreate: what it
// carries counts all the same.
func (s *Pods) SetForeign(pod *corev1.Pod) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.observe(pod)
}

// Delete takes it that a pod was deleted.
func (s *Pods) Delete(name types.NamespacedName) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.remove(name)
	s.record(name, observation{})
}

// All returns the pending pods, in no order.
func (s *Pods) All() []*Pod {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Collect(maps.Values(s.pending))
}

// Len is how many pods are pending.
func (s *Pods) Len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.pending)
}

// Get returns a pending pod, nil if there is none of that name.
func (s *Pods) Get(name types.NamespacedName) *Pod {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.pending[name]
}

// HasOwnRecord reports whether the record that a pod carries is its own, as far
// as can be seen: no other live pod carries it, and this one carried no other.
func (s *Pods) HasOwnRecord(p *Pod) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.carriers[reservation{p.Namespace, p.Reservation}] == 1 && !s.observed[p.Key()].changed
}

// Admitted reports whether a live pod of a controller was admitted with a kind.
func (s *Pods) Admitted(controller types.UID, kind accel.Kind) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.admitted[precedent{controller, kind}] > 0
}

// The caller of the following has the lock.

func (s *Pods) observe(pod *corev1.Pod) {
	name := types.NamespacedName{Namespace: pod.Namespace, Name: pod.Name}
	s.remove(name)
	s.record(name, observation{uid: pod.UID, reservation: carried(pod), bound: pod.Spec.NodeName != "", precedent: precedentOf(pod, s.keys())})
}

// carried is the reservation that a pod carries, or a digest of what somebody wrote
// there that is longer than any.
func carried(pod *corev1.Pod) string {
	const longest = 64
	return text.Digested(pod.Annotations[accel.ReservationAnnotation], longest)
}

func (s *Pods) remove(name types.NamespacedName) {
	p := s.pending[name]
	if p == nil {
		return
	}
	delete(s.pending, name)
	if m := s.templates[p.Template.Key]; m != nil {
		if m.n--; m.n == 0 {
			delete(s.templates, p.Template.Key)
			if s.sizes[p.Namespace] -= p.Template.size; s.sizes[p.Namespace] == 0 {
				delete(s.sizes, p.Namespace)
			}
		}
	}
}

func (s *Pods) record(name types.NamespacedName, o observation) {
	old := s.observed[name]
	if old.reservation != "" {
		k := reservation{name.Namespace, old.reservation}
		if s.carriers[k]--; s.carriers[k] == 0 {
			delete(s.carriers, k)
		}
	}
	if old.precedent != (precedent{}) {
		if s.admitted[old.precedent]--; s.admitted[old.precedent] == 0 {
			delete(s.admitted, old.precedent)
		}
	}
	if o.precedent != (precedent{}) {
		s.admitted[o.precedent]++
	}
	if old.uid == o.uid && o.uid != "" {
		o.changed = old.changed || old.reservation != o.reservation
	}
	if o.reservation == "" && !o.changed && o.precedent == (precedent{}) {
		delete(s.observed, name)
		return
	}
	s.observed[name] = o
	if o.reservation != "" {
		s.carriers[reservation{name.Namespace, o.reservation}]++
	}
}

// precedentOf is what a live pod shows its controller's pods to be admitted with.
func precedentOf(pod *corev1.Pod, keys *record.Keys) precedent {
	controller := metav1.GetControllerOfNoCopy(pod)
	if controller == nil || !plausible(controller) || pod.DeletionTimestamp != nil {
		return precedent{}
	}
	given, ok := record.Of(pod.Annotations, pod.Namespace, keys)
	if !ok {
		return precedent{}
	}
	return precedent{controller.UID, given.Kind}
}
