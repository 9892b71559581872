package inventory

import (
	"cmp"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"heteroaccel.io/pkg/resources"
)

// Quota is what is kept of a ResourceQuota: what may differ between the kinds
// that a pod could be given. QuotaOf makes it; it is immutable.
type Quota struct {
	Namespace, Name string
	// Amounts are by resource.
	Amounts []Amount
	// Scopes have all to match a pod for the quota to count it.
	Scopes []Scope
}

// Amount is how much of a resource a namespace may have, and has by the API
// server's count: milli-cores, bytes or pieces.
type Amount struct {
	Resource   string
	Hard, Used int64

	measure measure
}

// Scope is one condition for a pod to be counted.
type Scope struct {
	Name     corev1.ResourceQuotaScope
	Operator corev1.ScopeSelectorOperator
	Values   []string
}

// QuotaOf reduces a quota of the API server to its record. What is enforced is
// its status, not its spec.
func QuotaOf(q *corev1.ResourceQuota) *Quota {
	r := &Quota{Namespace: q.Namespace, Name: q.Name}
	for name, hard := range q.Status.Hard {
		m, ok := measureOf(name)
		if !ok {
			continue
		}
		used := q.Status.Used[name]
		r.Amounts = append(r.Amounts, Amount{string(name), m.unit.read(&hard), m.unit.read(&used), m})
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

func (u unit) read(q *resource.Quantity) int64 {
	if u == milliCores {
		return resources.MilliCores(q)
	}
	return resources.Bounded(q.Value())
}

// text is an amount as Kubernetes writes it.
func (u unit) text(n int64) string {
	switch u {
	case milliCores:
		return resource.NewMilliQuantity(n, resource.DecimalSI).String()
	case byteCount:
		return resource.NewQuantity(n, resource.BinarySI).String()
	default:
		return resource.NewQuantity(n, resource.DecimalSI).String()
	}
}

// counts reports whether the quota counts a pod.
func (q *Quota) counts(c *Charge) bool {
	for i := range q.Scopes {
		if !q.Scopes[i].matches(c) {
			return false
		}
	}
	return true
}

// matches reads a scope as the API server does. Affinity across namespaces is
// no business of ours: the same pod has it on every kind.
func (s *Scope) matches(c *Charge) bool {
	switch s.Name {
	case corev1.ResourceQuotaScopeTerminating:
		return c.Terminating
	case corev1.ResourceQuotaScopeNotTerminating:
		return !c.Terminating
	case corev1.ResourceQuotaScopeBestEffort:
		return c.BestEffort
	case corev1.ResourceQuotaScopeNotBestEffort:
		return !c.BestEffort
	case corev1.ResourceQuotaScopePriorityClass:
		has := c.PriorityClass != ""
		switch s.Operator {
		case corev1.ScopeSelectorOpExists:
			return has
		case corev1.ScopeSelectorOpDoesNotExist:
			return !has
		case corev1.ScopeSelectorOpIn:
			return has && slices.Contains(s.Values, c.PriorityClass)
		case corev1.ScopeSelectorOpNotIn:
			return !has || !slices.Contains(s.Values, c.PriorityClass)
		}
	}
	return false
}

// like reports whether two records count the same of the same pods.
func (q *Quota) like(o *Quota) bool {
	return slices.EqualFunc(q.Amounts, o.Amounts, func(a, b Amount) bool { return a.Resource == b.Resource }) &&
		slices.EqualFunc(q.Scopes, o.Scopes, func(a, b Scope) bool {
			return a.Name == b.Name && a.Operator == b.Operator && slices.Equal(a.Values, b.Values)
		})
}

// wider reports whether q, which comes in the place of a quota like it, allows
// more of something than old, or has less of something counted.
func (q *Quota) wider(old *Quota) (raised, less bool) {
	for i, a := range q.Amounts {
		raised = raised || a.Hard > old.Amounts[i].Hard
		less = less || a.Used < old.Amounts[i].Used
	}
	return raised, less
}

// Refusal is why an option comes after all others: somebody else, who has the
// last word, is known to be against it.
type Refusal struct {
	// Reason is the text of a refusal that is no quota's, the end of a sentence.
	Reason string
	// Unschedulable is set when the pod would be admitted, but kube-scheduler finds no
	// node for it.
	Unschedulable bool

	// The rest is a ResourceQuota's.
	Quota, Resource string
	// Hard is what the namespace may have, Left what is left of it, Needs what
	// the pod is short of: milli-cores, bytes or pieces.
	Hard, Left, Needs int64
	// Unset is set when all that is wrong is that the pod says no amount.
	Unset bool

	unit unit
}

// String is the end of a sentence.
func (r *Refusal) String() string {
	if r.Reason != "" {
		return r.Reason
	}
	if r.Unset {
		return fmt.Sprintf("quota %s demands that every container sets %s", r.Quota, r.Resource)
	}
	s := fmt.Sprintf("quota %s has %s of %s %s left", r.Quota, r.unit.text(r.Left), r.unit.text(r.Hard), r.Resource)
	if r.Left > 0 {
		s += fmt.Sprintf(", it needs %s", r.unit.text(r.Needs))
	}
	return s
}

// refuses says why the quota would refuse one more pod, nil when it would not.
// counted has for each amount what is known to count against it: the API
// server's own count may come later, or know of pods that we do not. freed,
// which may be nil, has what of both will be gone by then.
func (q *Quota) refuses(counted, freed []int64, needs resources.Amounts, c *Charge) *Refusal {
	if !q.counts(c) {
		return nil
	}
	for i := range q.Amounts {
		a := &q.Amounts[i]
		if c.Unset&a.measure.demands != 0 {
			return &Refusal{Quota: q.Name, Resource: a.Resource, Unset: true}
		}
		taken := max(a.Used, counted[i])
		if freed != nil {
			taken = max(0, taken-freed[i])
		}
		left := max(0, a.Hard-taken)
		// What is not asked for is not refused, however much too much there is.
		if more := a.measure.of(needs, c); more > left {
			return &Refusal{Quota: q.Name, Resource: a.Resource, Hard: a.Hard, Left: left, Needs: more, unit: a.measure.unit}
		}
	}
	return nil
}
