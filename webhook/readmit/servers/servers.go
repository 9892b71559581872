package servers

import (
	"cmp"
	"slices"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/record"
)

// Servers are those there are. Its methods may be called from any goroutine. Use New.
type Servers struct {
	keys func() *record.Keys // verify records
	asks func(inference string) bool

	mu      sync.Mutex
	byName  map[types.NamespacedName]*Server
	byOwner map[types.NamespacedName]map[types.NamespacedName]*Server
}

// New returns an empty set; keys, as they are now, verify the records of pods, and asks
// reports whether the profile of an inference asks for upgrades of its servers.
func New(keys func() *record.Keys, asks func(inference string) bool) *Servers {
	return &Servers{
		keys: keys, asks: asks, byName: map[types.NamespacedName]*Server{},
		byOwner: map[types.NamespacedName]map[types.NamespacedName]*Server{},
	}
}

// Set takes a new or changed pod. changed is set when it begins or ceases to be one that
// can be moved, or leaves another Deployment's revision alone.
func (s *Servers) Set(pod *corev1.Pod) (changed bool) {
	server, ok := Of(pod, s.keys())
	s.mu.Lock()
	defer s.mu.Unlock()
	name := types.NamespacedName{Namespace: pod.Namespace, Name: pod.Name}
	old := s.byName[name]
	if !ok {
		s.remove(name)
		return old != nil
	}
	if old != nil && old.Owner() != server.Owner() {
		s.remove(name)
	}
	s.byName[name] = server
	if s.byOwner[server.Owner()] == nil {
		s.byOwner[server.Owner()] = map[types.NamespacedName]*Server{}
	}
	s.byOwner[server.Owner()][name] = server
	return old == nil || old.ReadySince.IsZero() != server.ReadySince.IsZero() || old.Deleted != server.Deleted
}

// Delete takes it that a pod is gone, and reports whether it was a server.
func (s *Servers) Delete(name types.NamespacedName) (changed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.remove(name)
}

// remove is called with the lock.
func (s *Servers) remove(name types.NamespacedName) bool {
	old := s.byName[name]
	if old == nil {
		return false
	}
	delete(s.byName, name)
	if delete(s.byOwner[old.Owner()], name); len(s.byOwner[old.Owner()]) == 0 {
		delete(s.byOwner, old.Owner())
	}
	return true
}

// Upgradable are the servers that were displaced, or ask for upgrades, by their annotation
// or their profile: the displaced first, then by name.
func (s *Servers) Upgradable() []*Server {
	var all []*Server
	s.mu.Lock()
	for _, one := range s.byName {
		if !one.Deleted && !one.OptOut && (one.OptIn || one.Displaced != "" || s.asks(one.Inference)) {
			all = append(all, one)
		}
	}
	s.mu.Unlock()
	slices.SortFunc(all, func(a, b *Server) int {
		if (a.Displaced != "") != (b.Displaced != "") {
			if a.Displaced != "" {
				return -1
			}
			return 1
		}
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
	return all
}

// Count is how many servers an owner has.
func (s *Servers) Count(owner types.NamespacedName) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.byOwner[owner])
}

// Mixed are the servers of each ReplicaSet that has some on different kinds and is not
// rolled out.
func (s *Servers) Mixed() [][]*Server {
	var mixed [][]*Server
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, of := range s.byOwner {
		if len(of) < 2 {
			continue
		}
		var all []*Server
		differ, rollsOut := false, false
		for _, one := range of {
			if one.Deleted {
				continue
			}
			all = append(all, one)
			differ = differ || one.Kind != all[0].Kind
			rollsOut = rollsOut || one.SetUID != all[0].SetUID || one.SetKind != "ReplicaSet"
		}
		if differ && !rollsOut {
			mixed = append(mixed, all)
		}
	}
	return mixed
}

// HeldByOthers are the kinds that the servers of a Deployment's other revisions hold, each
// with the name of one of them; set is the ReplicaSet of the one that asks.
func (s *Servers) HeldByOthers(namespace, set string) map[accel.Kind]string {
	owner := types.NamespacedName{Namespace: namespace, Name: DeploymentOf(set)}
	s.mu.Lock()
	defer s.mu.Unlock()
	var held map[accel.Kind]string
	for _, other := range s.byOwner[owner] {
		if other.SetName == set {
			continue
		}
		if held == nil {
			held = map[accel.Kind]string{}
		}
		if now := held[other.Kind]; now == "" || other.Name < now {
			held[other.Kind] = other.Name
		}
	}
	return held
}

// RollsOut reports whether a Deployment has servers of another revision than this one's.
func (s *Servers) RollsOut(of *Server) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, other := range s.byOwner[of.Owner()] {
		if other.SetUID != of.SetUID {
			return true
		}
	}
	return false
}
