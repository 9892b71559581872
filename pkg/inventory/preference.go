package inventory

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/component-helpers/scheduling/corev1/nodeaffinity"
)

// Preference is which nodes a pod would rather run on: the preferred terms of its
// node affinity, as kube-scheduler's NodeAffinity plugin reads them. Nil is none.
type Preference struct {
	terms []corev1.PreferredSchedulingTerm
	// nodeNames are the only nodes that the terms can match, nil when they name
	// none.
	nodeNames []string
	// key is equal for equal terms.
	key string
	// size is what they take, in bytes as the API server encodes them.
	size int
}

// MaxPreference bounds the preferred terms of a pod's node affinity that count, in
// bytes as the API server encodes them. Past it the pod has no preference as far
// as the inventory and the extender know; kube-scheduler still reads it.
const MaxPreference = 8 << 10

// PreferenceOf reads preferred terms, nil for none and for those past the bound.
func PreferenceOf(terms []corev1.PreferredSchedulingTerm) *Preference {
	if len(terms) == 0 {
		return nil
	}
	key, err := (&corev1.NodeAffinity{PreferredDuringSchedulingIgnoredDuringExecution: terms}).Marshal()
	if len(key) > MaxPreference {
		return nil
	}
	p := &Preference{terms: terms, size: len(key)}
	p.key = keyOf(key, err, p)
	p.nodeNames = nodeNamesOf(func(yield func(*corev1.NodeSelectorTerm) bool) {
		for i := range terms {
			if !yield(&terms[i].Preference) {
				return
			}
		}
	})
	return p
}

// Weigh returns a function from a node to the sum of the weights of the terms that
// match it, 0 for nil. It is nil itself where there is no preference, or one that
// cannot be read: then kube-scheduler does not place the pod at all.
func (p *Preference) Weigh() func(*Node) int64 {
	if p == nil {
		return nil
	}
	terms, err := nodeaffinity.NewPreferredSchedulingTerms(p.terms)
	if err != nil {
		return nil
	}
	return func(n *Node) int64 {
		if n == nil || n.traits == nil || p.nodeNames != nil && !slices.Contains(p.nodeNames, n.Name) {
			return 0
		}
		return max(0, terms.Score(&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: n.Name, Labels: n.traits.labels}}))
	}
}

// preference is the pod's, nil for none; c may be nil.
func (c *Constraints) preference() *Preference {
	if c == nil {
		return nil
	}
	return c.preferred
}
