package claim

import (
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/webhook/readmit/pending"
)

// pauses are until when the pods whose claim could not be created are left alone. Each
// attempt may change its pod, which the feed shows at once: that must not be the next
// attempt's cause. The zero value has none.
type pauses struct {
	mu sync.Mutex
	of map[types.NamespacedName]pause
}

// pause is of a pod that waits for a kind: once it is moved to another, the other kind's
// claim is created at once.
type pause struct {
	pod   types.UID
	kind  accel.Kind
	until time.Time
	// lifted is set, alone, where what was in the way went while an attempt may be under
	// way, which does not know.
	lifted bool
}

// begin has a pod left alone after an attempt, unless the pause was lifted meanwhile.
func (s *pauses) begin(p *pending.Pod, until time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.of[p.Key()].lifted {
		s.set(p.Key(), pause{pod: p.UID, kind: p.Template.Kind, until: until})
	}
}

// lift ends the pause of a pod, and that which an attempt under way would begin.
func (s *pauses) lift(pod types.NamespacedName) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.set(pod, pause{lifted: true})
}

// set expects the lock.
func (s *pauses) set(pod types.NamespacedName, x pause) {
	if s.of == nil {
		s.of = map[types.NamespacedName]pause{}
	}
	s.of[pod] = x
}

// end forgets a pod: an attempt begins, or none is needed any more.
func (s *pauses) end(pod types.NamespacedName) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.of, pod)
}

// left is how much longer a pod is left alone, 0 if it is not.
func (s *pauses) left(p *pending.Pod, now time.Time) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	x, ok := s.of[p.Key()]
	if !ok || x.pod != p.UID || x.kind != p.Template.Kind {
		return 0
	}
	return max(0, x.until.Sub(now))
}
