package profile

import (
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	corev1 "k8s.io/api/core/v1"

	"heteroaccel.io/pkg/accel"
)

// Store holds the profiles by name. Readers take no lock: they see the last
// version that was complete. Use NewStore.
type Store struct {
	writing sync.Mutex // one writer at a time
	current atomic.Pointer[version]
}

// version is one state of the store; it never changes.
type version struct {
	profiles  map[string]*Profile
	names     []string // sorted
	resources map[corev1.ResourceName][]accel.Kind
}

// NewStore returns an empty store.
func NewStore() *Store {
	s := &Store{}
	s.current.Store(newVersion(nil))
	return s
}

// Get returns the profile called name.
func (s *Store) Get(name string) (*Profile, bool) {
	p, ok := s.current.Load().profiles[name]
	return p, ok
}

// Names lists the profiles' names, sorted. The slice is shared: do not change
// it.
func (s *Store) Names() []string { return s.current.Load().names }

// All lists the profiles, sorted by name.
func (s *Store) All() []*Profile {
	v := s.current.Load()
	all := make([]*Profile, len(v.names))
	for i, name := range v.names {
		all[i] = v.profiles[name]
	}
	return all
}

// ResourceKinds says which extended resource stands for which kinds, over all
// profiles; the kinds are sorted. The map is shared: do not change it.
func (s *Store) ResourceKinds() map[corev1.ResourceName][]accel.Kind {
	return s.current.Load().resources
}

// Set adds p, or replaces the profile of the same name.
func (s *Store) Set(p *Profile) {
	s.change(func(profiles map[string]*Profile) { profiles[p.Name] = p })
}

// Delete removes the profile called name, if there is one.
func (s *Store) Delete(name string) {
	s.change(func(profiles map[string]*Profile) { delete(profiles, name) })
}

// change makes the next version: a copy of the last, edited. Profiles are few
// and change rarely, so a copy for each change costs nothing that matters.
func (s *Store) change(edit func(map[string]*Profile)) {
	s.writing.Lock()
	defer s.writing.Unlock()
	profiles := maps.Clone(s.current.Load().profiles)
	edit(profiles)
	s.current.Store(newVersion(profiles))
}

func newVersion(profiles map[string]*Profile) *version {
	if profiles == nil {
		profiles = map[string]*Profile{}
	}
	return &version{
		profiles:  profiles,
		names:     slices.Sorted(maps.Keys(profiles)),
		resources: resourceKinds(profiles),
	}
}

func resourceKinds(profiles map[string]*Profile) map[corev1.ResourceName][]accel.Kind {
	out := map[corev1.ResourceName][]accel.Kind{}
	for _, p := range profiles {
		for _, v := range p.Variants {
			for name := range v.Devices {
				at, known := slices.BinarySearch(out[name], v.Kind)
				if !known {
					out[name] = slices.Insert(out[name], at, v.Kind)
				}
			}
		}
	}
	return out
}
