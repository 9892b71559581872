package namespaces

import (
	"fmt"
	"sync"

	"heteroaccel.io/pkg/profile"
)

// Store has the namespaces by name. It is safe for concurrent use; a nil Store
// refuses nothing.
type Store struct {
	mu     sync.RWMutex
	byName map[string]*Namespace
}

// NewStore returns an empty store.
func NewStore() *Store { return &Store{byName: map[string]*Namespace{}} }

// Set takes a new or changed namespace.
func (s *Store) Set(ns *Namespace) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.byName[ns.Name] = ns
}

// Delete removes a namespace.
func (s *Store) Delete(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.byName, name)
}

// Refuses says why a namespace may not use a profile; nil if it may. Of a namespace
// that is not known yet, since it is new, the labels are not: a profile that selects
// by them is refused. Its annotation is its own creator's, and waits for nobody.
func (s *Store) Refuses(namespace string, p *profile.Profile) error {
	if s == nil {
		return nil
	}
	s.mu.RLock()
	ns := s.byName[namespace]
	s.mu.RUnlock()
	switch {
	case ns != nil:
		return ns.Refuses(p)
	case p.Namespaces != nil:
		return fmt.Errorf("inference %s is not for every namespace, and namespace %s is not known yet: try again in a second", p.Name, namespace)
	}
	return nil
}
