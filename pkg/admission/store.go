package admission

import (
	"cmp"
	"slices"
	"sync"
	"sync/atomic"

	corev1 "k8s.io/api/core/v1"
)

// Store has the rules of every namespace that has any. It is safe for concurrent
// use; a nil Store has no rules.
type Store struct {
	mu      sync.RWMutex
	rules   map[string]*rules
	version atomic.Uint64
}

// rules are those of one namespace. They are immutable.
type rules struct {
	// ranges are by name.
	ranges []*LimitRange
	level  level
}

// NewStore returns a store without rules.
func NewStore() *Store { return &Store{rules: map[string]*rules{}} }

// Has reports whether a namespace has rules at all.
func (s *Store) Has(namespace string) bool { return s.rulesOf(namespace) != nil }

// Version changes with every change of the rules.
func (s *Store) Version() uint64 {
	if s == nil {
		return 0
	}
	return s.version.Load()
}

// Refuses says why the API server would deny a pod, given exactly as it would be
// created in a namespace; "" when nothing is known against it. The pod is not
// changed.
func (s *Store) Refuses(namespace string, pod *corev1.Pod) string {
	r := s.rulesOf(namespace)
	if r == nil {
		return ""
	}
	return cmp.Or(limitRangeRefusal(r.ranges, pod), r.level.refuses(pod))
}

func (s *Store) rulesOf(namespace string) *rules {
	if s == nil {
		return nil
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.rules[namespace]
}

// SetLimitRange takes a new or changed LimitRange.
func (s *Store) SetLimitRange(l *LimitRange) {
	s.change(l.Namespace, func(r *rules) bool {
		i, known := slices.BinarySearchFunc(r.ranges, l.Name, byName)
		if known && r.ranges[i].equal(l) {
			return false
		}
		r.ranges = slices.Clone(r.ranges)
		if known {
			r.ranges[i] = l
		} else {
			r.ranges = slices.Insert(r.ranges, i, l)
		}
		return true
	})
}

// DeleteLimitRange removes a LimitRange.
func (s *Store) DeleteLimitRange(namespace, name string) {
	s.change(namespace, func(r *rules) bool {
		i, known := slices.BinarySearchFunc(r.ranges, name, byName)
		if known {
			r.ranges = slices.Delete(slices.Clone(r.ranges), i, i+1)
		}
		return known
	})
}

func byName(l *LimitRange, name string) int { return cmp.Compare(l.Name, name) }

// SetNamespace takes the labels of a new or changed namespace.
func (s *Store) SetNamespace(name string, labels map[string]string) {
	l := levelOf(labels)
	s.change(name, func(r *rules) bool {
		changed := !r.level.equal(l)
		r.level = l
		return changed
	})
}

// DeleteNamespace removes the pod-security level of a namespace.
func (s *Store) DeleteNamespace(name string) { s.SetNamespace(name, nil) }

// change replaces the rules of a namespace: edit gets a copy, and reports whether
// it changed it. A namespace without rules is dropped.
func (s *Store) change(namespace string, edit func(*rules) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var next rules
	if old := s.rules[namespace]; old != nil {
		next = *old
	}
	if !edit(&next) {
		return
	}
	if len(next.ranges) == 0 && next.level.privileged() {
		delete(s.rules, namespace)
	} else {
		s.rules[namespace] = &next
	}
	s.version.Add(1)
}
