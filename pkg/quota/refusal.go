package quota

import (
	"fmt"

	"heteroaccel.io/pkg/resources"
)

// Refusal says which quota would refuse a pod, and why.
type Refusal struct {
	// Quota and Resource name the quota and the resource it limits.
	Quota, Resource string
	// Hard is what the namespace may use, Left what is left of it, Needs what
	// the pod would use: milli-cores, bytes or pieces.
	Hard, Left, Needs int64
	// Unset is set when the quota demands an amount of every container and one
	// sets none; Hard, Left and Needs are 0 then.
	Unset bool

	unit unit
}

// String is the end of a sentence.
func (r *Refusal) String() string {
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
// counted is what the ledger counts of each amount: the API server's own count
// may lag behind it, or include pods that the ledger has not seen. freed, which
// may be nil, is how much of both a pod that is to be replaced frees.
func (q *Quota) refuses(counted, freed []int64, requests resources.Amounts, u *Usage) *Refusal {
	if !q.counts(u) {
		return nil
	}
	for i := range q.Amounts {
		a := &q.Amounts[i]
		if u.Unset&a.evaluator.demands != 0 {
			return &Refusal{Quota: q.Name, Resource: a.Resource, Unset: true}
		}
		used := max(a.Used, counted[i])
		if freed != nil {
			used = max(0, used-freed[i])
		}
		left := max(0, a.Hard-used)
		// A pod that uses none of it is admitted, even into an exceeded quota.
		if more := a.evaluator.usage(requests, u); more > left {
			return &Refusal{Quota: q.Name, Resource: a.Resource, Hard: a.Hard, Left: left, Needs: more, unit: a.evaluator.unit}
		}
	}
	return nil
}
