package quota

import (
	"cmp"
	"slices"

	corev1 "k8s.io/api/core/v1"
)

// Quota is what is kept of a ResourceQuota: the resources that may differ
// between the kinds a pod could get. Of makes it; it is immutable.
type Quota struct {
	Namespace, Name string
	// Amounts are sorted by resource.
	Amounts []Amount
	// Scopes must all match a pod for the quota to count it.
	Scopes []Scope
}

// Amount is how much of a resource a namespace may use, and uses by the API
// server's count: milli-cores, bytes or pieces.
type Amount struct {
	Resource   string
	Hard, Used int64

	evaluator evaluator
}

// Scope is one condition for a pod to be counted.
type Scope struct {
	Name     corev1.ResourceQuotaScope
	Operator corev1.ScopeSelectorOperator
	Values   []string
}

// Of reads a quota of the API server: its status, which is what is enforced,
// not its spec.
func Of(q *corev1.ResourceQuota) *Quota {
	r := &Quota{Namespace: q.Namespace, Name: q.Name}
	for name, hard := range q.Status.Hard {
		e, ok := evaluatorOf(name)
		if !ok {
			continue
		}
		used := q.Status.Used[name]
		r.Amounts = append(r.Amounts, Amount{string(name), e.unit.read(&hard), e.unit.read(&used), e})
	}
	slices.SortFunc(r.Amounts, func(a, b Amount) int { return cmp.Compare(a.Resource, b.Resource) })
	for _, name := range q.Spec.Scopes {
		r.Scopes = append(r.Scopes, Scope{Name: name, Operator: corev1.ScopeSelectorOpExists})
	}
	if s := q.Spec.ScopeSelector; s != nil {
		for _, e := range s.MatchExpressions {
			r.Scopes = append(r.Scopes, Scope{e.ScopeName, e.Operator, slices.Clone(e.Values)})
		}
	}
	return r
}

// counts reports whether the quota counts a pod.
func (q *Quota) counts(u *Usage) bool {
	for i := range q.Scopes {
		if !q.Scopes[i].matches(u) {
			return false
		}
	}
	return true
}

// matches reads a scope as the API server does. Affinity across namespaces
// never matches here: it does not depend on the kind.
func (s *Scope) matches(u *Usage) bool {
	switch s.Name {
	case corev1.ResourceQuotaScopeTerminating:
		return u.Terminating
	case corev1.ResourceQuotaScopeNotTerminating:
		return !u.Terminating
	case corev1.ResourceQuotaScopeBestEffort:
		return u.BestEffort
	case corev1.ResourceQuotaScopeNotBestEffort:
		return !u.BestEffort
	case corev1.ResourceQuotaScopePriorityClass:
		has := u.PriorityClass != ""
		switch s.Operator {
		case corev1.ScopeSelectorOpExists:
			return has
		case corev1.ScopeSelectorOpDoesNotExist:
			return !has
		case corev1.ScopeSelectorOpIn:
			return has && slices.Contains(s.Values, u.PriorityClass)
		case corev1.ScopeSelectorOpNotIn:
			return !has || !slices.Contains(s.Values, u.PriorityClass)
		}
	}
	return false
}

// countsLike reports whether two quotas count the same resources of the same
// pods.
func (q *Quota) countsLike(o *Quota) bool {
	return slices.EqualFunc(q.Amounts, o.Amounts, func(a, b Amount) bool { return a.Resource == b.Resource }) &&
		slices.EqualFunc(q.Scopes, o.Scopes, func(a, b Scope) bool {
			return a.Name == b.Name && a.Operator == b.Operator && slices.Equal(a.Values, b.Values)
		})
}

// compare reports whether q, the new form of old, allows more of a resource,
// and whether it counts less of one as used.
func (q *Quota) compare(old *Quota) (raised, less bool) {
	for i, a := range q.Amounts {
		raised = raised || a.Hard > old.Amounts[i].Hard
		less = less || a.Used < old.Amounts[i].Used
	}
	return raised, less
}
