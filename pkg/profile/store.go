package profile

import (
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	corev1 "k8s.io/api/core/v1"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/profile/v1alpha1"
)

// Store has the profiles by name. Readers take no lock: they see the last
// complete version. Use NewStore.
type Store struct {
	writing sync.Mutex // one writer at a time
	current atomic.Pointer[version]
	crd     atomic.Pointer[error] // what is wrong with the CRD
}

// version is one state of the store; it never changes.
type version struct {
	profiles  map[string]*Profile
	invalid   map[string]error // why a profile that exists cannot be used
	names     []string         // sorted
	resources map[corev1.ResourceName][]accel.Kind
}

// NewStore returns an empty store.
func NewStore() *Store {
	s := &Store{}
	s.current.Store(&version{profiles: map[string]*Profile{}, invalid: map[string]error{}})
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

// ResourceKinds maps each extended resource to the kinds it stands for in any
// profile, sorted. The map is shared: do not change it.
func (s *Store) ResourceKinds() map[corev1.ResourceName][]accel.Kind {
	return s.current.Load().resources
}

// Invalid is why the profile called name exists but cannot be used; nil for one
// that can be, or that does not exist.
func (s *Store) Invalid(name string) error { return s.current.Load().invalid[name] }

// SetCRD notes what is wrong with the CRD, so that there are no profiles, or that
// they are not as they were written; nil for nothing.
func (s *Store) SetCRD(wrong error) { s.crd.Store(&wrong) }

// CRD is what is wrong with the CRD: a sentence that says what to do, nil for
// nothing. It is ErrNoCRD while there is none.
func (s *Store) CRD() error {
	if wrong := s.crd.Load(); wrong != nil {
		return *wrong
	}
	return nil
}

// Set adds p, or replaces the profile of the same name.
func (s *Store) Set(p *Profile) {
	s.change(func(v *version) {
		v.profiles[p.Name] = p
		delete(v.invalid, p.Name)
	})
}

// Put adds the profile of a resource, or replaces the one of the same name. One
// that cannot be used is removed, in its earlier form too; Invalid then returns the
// error, and so does Put.
func (s *Store) Put(in *v1alpha1.InferenceProfile) error {
	p, err := New(in)
	if err != nil {
		s.SetInvalid(in.Name, err)
		return err
	}
	s.Set(p)
	return nil
}

// SetInvalid notes why the profile called name, which exists, cannot be used.
func (s *Store) SetInvalid(name string, why error) {
	s.change(func(v *version) {
		delete(v.profiles, name)
		v.invalid[name] = why
	})
}

// Delete removes the profile called name, if there is one.
func (s *Store) Delete(name string) {
	s.change(func(v *version) {
		delete(v.profiles, name)
		delete(v.invalid, name)
	})
}

// change stores a new version: an edited copy of the last. Profiles are few and
// change rarely, so copying is cheap enough.
func (s *Store) change(edit func(*version)) {
	s.writing.Lock()
	defer s.writing.Unlock()
	last := s.current.Load()
	next := &version{profiles: maps.Clone(last.profiles), invalid: maps.Clone(last.invalid)}
	edit(next)
	next.names = slices.Sorted(maps.Keys(next.profiles))
	next.resources = resourceKinds(next.profiles)
	s.current.Store(next)
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
