package readmit

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"heteroaccel.io/pkg/accel"
	sealed "heteroaccel.io/pkg/record"
)

// book has every pod that waits, by name, and who carries which reservation.
type book struct {
	waiting map[types.NamespacedName]*waiter
	classes map[string]*members
	// bearers counts the live pods that carry a reservation: its record is
	// believed of one pod only.
	bearers map[bearer]int
	carried map[types.NamespacedName]carrier
	// given counts the live pods of a controller by the kind they were given.
	given map[precedent]int
}

// precedent is that a controller's pods were let in with a kind.
type precedent struct {
	controller types.UID
	kind       accel.Kind
}

type members struct {
	class *class
	n     int
}

type bearer struct{ namespace, reservation string }

// carrier is what a pod was seen to carry.
type carrier struct {
	uid         types.UID
	reservation string
	precedent   precedent // the zero value for none
	// changed is set once the reservation of the pod was another before. That
	// is never our doing.
	changed bool
}

func newBook() book {
	return book{
		waiting: map[types.NamespacedName]*waiter{}, classes: map[string]*members{},
		bearers: map[bearer]int{}, carried: map[types.NamespacedName]carrier{}, given: map[precedent]int{},
	}
}

// set takes a new or changed pod.
func (b *book) set(pod *corev1.Pod, key []byte, now time.Time) {
	name := types.NamespacedName{Namespace: pod.Namespace, Name: pod.Name}
	before := b.waiting[name]
	b.leave(name)
	b.carry(name, carrier{uid: pod.UID, reservation: pod.Annotations[accel.ReservationAnnotation], precedent: precedentOf(pod, key)})
	w, ok := waiterOf(pod, key)
	if !ok {
		return
	}
	if w.judged = now; before != nil && before.uid == w.uid && before.unschedulable && before.words == w.words {
		w.judged = before.judged
	}
	m := b.classes[w.class.key]
	if m == nil {
		m = &members{class: w.class}
		b.classes[w.class.key] = m
	}
	m.n++
	w.class = m.class
	b.waiting[name] = w
}

// remove takes a pod's leaving.
func (b *book) remove(name types.NamespacedName) {
	b.leave(name)
	b.carry(name, carrier{})
}

func (b *book) leave(name types.NamespacedName) {
	w := b.waiting[name]
	if w == nil {
		return
	}
	delete(b.waiting, name)
	if m := b.classes[w.class.key]; m != nil {
		if m.n--; m.n == 0 {
			delete(b.classes, w.class.key)
		}
	}
}

func (b *book) carry(name types.NamespacedName, c carrier) {
	old := b.carried[name]
	if old.reservation != "" {
		k := bearer{name.Namespace, old.reservation}
		if b.bearers[k]--; b.bearers[k] == 0 {
			delete(b.bearers, k)
		}
	}
	if old.precedent != (precedent{}) {
		if b.given[old.precedent]--; b.given[old.precedent] == 0 {
			delete(b.given, old.precedent)
		}
	}
	if c.precedent != (precedent{}) {
		b.given[c.precedent]++
	}
	if old.uid == c.uid && c.uid != "" {
		c.changed = old.changed || old.reservation != c.reservation
	}
	if c.reservation == "" && !c.changed && c.precedent == (precedent{}) {
		delete(b.carried, name)
		return
	}
	b.carried[name] = c
	if c.reservation != "" {
		b.bearers[bearer{name.Namespace, c.reservation}]++
	}
}

// own reports whether the record that a pod carries is its own, as far as can
// be seen: no other live pod carries it, and the pod carried no other.
func (b *book) own(w *waiter) bool {
	return b.bearers[bearer{w.namespace, w.reservation}] == 1 && !b.carried[w.key()].changed
}

// precedentOf is what a live pod shows its controller's pods to be let in with.
func precedentOf(pod *corev1.Pod, key []byte) precedent {
	controller := metav1.GetControllerOfNoCopy(pod)
	if controller == nil || pod.DeletionTimestamp != nil {
		return precedent{}
	}
	given, ok := sealed.Of(pod.Annotations, pod.Namespace, key)
	if !ok {
		return precedent{}
	}
	return precedent{controller.UID, given.Kind}
}
