package claim

import (
	"sync"

	resourcev1 "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/types"

	"heteroaccel.io/webhook/readmit/pending"
)

// Claims are the ResourceClaims of the cluster that pods control, in every replica. Use
// NewClaims.
type Claims struct {
	mu    sync.Mutex
	known map[types.NamespacedName]state
}

// NewClaims returns an empty set.
func NewClaims() *Claims { return &Claims{known: map[types.NamespacedName]state{}} }

// Set takes a new or changed claim.
func (s *Claims) Set(claim *resourcev1.ResourceClaim) {
	s.mu.Lock()
	defer s.mu.Unlock()
	name := types.NamespacedName{Namespace: claim.Namespace, Name: claim.Name}
	if st := stateOf(claim); st.pod != "" {
		s.known[name] = st
	} else {
		delete(s.known, name)
	}
}

// Delete takes it that a claim is gone, and returns the pod that controlled it; its name
// is "" for none.
func (s *Claims) Delete(name types.NamespacedName) (pod types.NamespacedName) {
	s.mu.Lock()
	defer s.mu.Unlock()
	pod = types.NamespacedName{Namespace: name.Namespace, Name: s.known[name].podName}
	delete(s.known, name)
	return pod
}

// has reports whether a pod has the claim for its kind.
func (s *Claims) has(p *pending.Pod) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, ok := s.known[claimOf(p)]
	return ok && c.pod == p.UID && c.request == requestName(p.Template.Kind)
}

// claimOf is the name of a pod's claim.
func claimOf(p *pending.Pod) types.NamespacedName {
	return types.NamespacedName{Namespace: p.Namespace, Name: p.Claim}
}
