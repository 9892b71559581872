package inventory

import (
	"iter"
	"time"
	"unique"

	"k8s.io/apimachinery/pkg/types"

	"heteroaccel.io/pkg/quota"
)

// SetQuota takes a new or changed quota.
func (inv *Inventory) SetQuota(q *quota.Quota) {
	inv.mu.Lock()
	defer inv.mu.Unlock()
	if inv.quotas.Set(q, inv.quotaPods(q.Namespace)) {
		inv.wake()
	}
}

// DeleteQuota removes a quota.
func (inv *Inventory) DeleteQuota(namespace, name string) {
	inv.mu.Lock()
	defer inv.mu.Unlock()
	if inv.quotas.Delete(namespace, name) {
		inv.wake()
	}
}

// quotaPods yields the pods of a namespace that quotas count, and the reservations
// that claim.
func (inv *Inventory) quotaPods(namespace string) iter.Seq[quota.Pod] {
	return func(yield func(quota.Pod) bool) {
		for _, p := range inv.pods {
			if p.Namespace == namespace && p.usesQuota() && !yield(p.quotaPod()) {
				return
			}
		}
		for _, r := range inv.reservations {
			if r.namespace == namespace && r.claim.class != nil && !yield(r.quotaPod()) {
				return
			}
		}
	}
}

// updateQuotas counts p, or nothing, in place of old for the quotas of their
// namespace.
func (inv *Inventory) updateQuotas(namespace string, old, p *Pod) {
	if !inv.quotas.Limits(namespace) {
		return
	}
	switch was, is := old.usesQuota(), p.usesQuota(); {
	case was && is:
		inv.quotas.Remove(namespace, old.quotaPod())
		inv.quotas.Add(namespace, p.quotaPod())
	case was:
		inv.quotas.Ended(namespace, old.quotaPod(), inv.opts.Now())
	case is:
		inv.quotas.Add(namespace, p.quotaPod())
	}
}

// quotaRefusal says which quota would refuse a pod created for an option of a
// query, nil when none would.
func (inv *Inventory) quotaRefusal(q *Query, o *Option, now time.Time) *Refusal {
	if !inv.quotas.Limits(q.Namespace) {
		return nil
	}
	var replaced quota.Pod
	if p := inv.pods[types.NamespacedName{Namespace: q.Namespace, Name: q.Replaces}]; p.usesQuota() {
		replaced = p.quotaPod()
	}
	usage := o.quotaUsage()
	if r := inv.quotas.Refusal(q.Namespace, quota.Pod{Requests: o.Needs, Usage: &usage}, replaced, now); r != nil {
		return &Refusal{Quota: r}
	}
	return nil
}

// usesQuota reports whether quotas count the pod for certain; p may be nil. One
// that is being deleted counts for a while longer, until the API server
// subtracts it.
func (p *Pod) usesQuota() bool { return p != nil && !p.Done && !p.Deleted }

// quotaPod is the pod as quotas count it.
func (p *Pod) quotaPod() quota.Pod {
	u := quota.Usage{}
	if p.quotaUsage != (unique.Handle[quota.Usage]{}) {
		u = p.quotaUsage.Value()
	}
	return quota.Pod{Requests: p.Needs, Usage: &u}
}

// quotaPod is the reservation as quotas count it.
func (r *reservation) quotaPod() quota.Pod {
	return quota.Pod{Requests: r.claim.class.needs, Usage: &r.quotaUsage}
}
