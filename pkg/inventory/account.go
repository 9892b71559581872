package inventory

import (
	"cmp"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"heteroaccel.io/pkg/resources"
)

// account is a quota, and what the pods and reservations of its namespace come
// to, one sum for each of its amounts. An account knows what the quota's own
// count does not have yet: a pod that was decided about and has not come, and
// one whose creation the API server has told us of before the count that it
// changed. The larger of both is taken, as the quota's count has in turn pods
// that we have not seen. Pods that ended and are still to be counted off are
// in both.
type account struct {
	quota *Quota
	sums  []int64
	// gone is what pods come to that ended or are being deleted, which the
	// quota may still count; until then, or until its count goes down.
	gone  []int64
	until time.Time
}

// countedOff is how long the API server takes at most to count off a pod that
// ended, as a rule.
const countedOff = 2 * time.Second

// add counts a pod, or with sign −1 no longer.
func (a *account) add(needs resources.Amounts, c *Charge, sign int64) {
	if !a.quota.counts(c) {
		return
	}
	for i := range a.sums {
		a.sums[i] += sign * a.quota.Amounts[i].measure.of(needs, c)
	}
}

// leave counts a pod no longer, but for a while as one that may count still.
func (a *account) leave(needs resources.Amounts, c *Charge, now time.Time) {
	if !a.quota.counts(c) {
		return
	}
	if now.After(a.until) {
		clear(a.gone)
	}
	a.until = now.Add(countedOff)
	for i := range a.sums {
		n := a.quota.Amounts[i].measure.of(needs, c)
		a.sums[i] -= n
		a.gone[i] += n
	}
}

// counted is what is known to count for each amount.
func (a *account) counted(now time.Time) []int64 {
	if now.After(a.until) {
		return a.sums
	}
	counted := slices.Clone(a.sums)
	for i, n := range a.gone {
		counted[i] += n
	}
	return counted
}

// SetQuota takes a new or changed quota.
func (inv *Inventory) SetQuota(q *Quota) {
	inv.mu.Lock()
	defer inv.mu.Unlock()
	accounts := inv.accounts[q.Namespace]
	i, known := slices.BinarySearchFunc(accounts, q.Name, byQuota)
	if known && accounts[i].quota.like(q) {
		old := accounts[i].quota
		accounts[i].quota = q
		raised, less := q.wider(old)
		if less {
			accounts[i].until = time.Time{}
		}
		if raised || less {
			inv.gain()
		}
		return
	}
	a := inv.open(q)
	if known {
		accounts[i] = a
	} else {
		inv.accounts[q.Namespace] = slices.Insert(accounts, i, a)
	}
	inv.gain()
}

// DeleteQuota takes a quota's leaving.
func (inv *Inventory) DeleteQuota(namespace, name string) {
	inv.mu.Lock()
	defer inv.mu.Unlock()
	accounts := inv.accounts[namespace]
	i, known := slices.BinarySearchFunc(accounts, name, byQuota)
	if !known {
		return
	}
	if accounts = slices.Delete(accounts, i, i+1); len(accounts) == 0 {
		delete(inv.accounts, namespace)
	} else {
		inv.accounts[namespace] = accounts
	}
	inv.gain()
}

func byQuota(a *account, name string) int { return cmp.Compare(a.quota.Name, name) }

// open counts for a quota that is new what there is already.
func (inv *Inventory) open(q *Quota) *account {
	a := &account{quota: q, sums: make([]int64, len(q.Amounts)), gone: make([]int64, len(q.Amounts))}
	for _, p := range inv.pods {
		if p.Namespace == q.Namespace && p.charged() {
			a.add(p.Needs, p.terms(), 1)
		}
	}
	for _, r := range inv.reservations {
		if r.namespace == q.Namespace {
			a.add(r.shape.needs, &r.charge, 1)
		}
	}
	return a
}

// recharge counts p, or nothing, in the place of old for the quotas of their
// namespace.
func (inv *Inventory) recharge(namespace string, old, p *Pod) {
	accounts := inv.accounts[namespace]
	if len(accounts) == 0 {
		return
	}
	switch was, is := old.charged(), p.charged(); {
	case was && is:
		inv.charge(namespace, old.Needs, old.terms(), -1)
		inv.charge(namespace, p.Needs, p.terms(), 1)
	case was:
		now := inv.opts.Now()
		for _, a := range accounts {
			a.leave(old.Needs, old.terms(), now)
		}
	case is:
		inv.charge(namespace, p.Needs, p.terms(), 1)
	}
}

// charge counts a pod or reservation for the quotas of its namespace, or with
// sign −1 no longer.
func (inv *Inventory) charge(namespace string, needs resources.Amounts, c *Charge, sign int64) {
	for _, a := range inv.accounts[namespace] {
		a.add(needs, c, sign)
	}
}

// refusal says which quota would refuse a pod created for an option of a query,
// nil when none would.
func (inv *Inventory) refusal(q *Query, o *Option, now time.Time) *Refusal {
	accounts := inv.accounts[q.Namespace]
	if len(accounts) == 0 {
		return nil
	}
	replaced := inv.pods[types.NamespacedName{Namespace: q.Namespace, Name: q.Replaces}]
	for _, a := range accounts {
		if r := a.quota.refuses(a.counted(now), a.chargeOf(replaced), o.Needs, &o.Charge); r != nil {
			return r
		}
	}
	return nil
}

// chargeOf is what the quota counts of a pod, by amount; nil of none.
func (a *account) chargeOf(p *Pod) []int64 {
	if !p.charged() || !a.quota.counts(p.terms()) {
		return nil
	}
	charge := make([]int64, len(a.quota.Amounts))
	for i := range charge {
		charge[i] = a.quota.Amounts[i].measure.of(p.Needs, p.terms())
	}
	return charge
}
