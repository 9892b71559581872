package inventory

import (
	"cmp"
	"slices"
)

// account is a quota, and what the pods and reservations of its namespace come
// to, one sum for each of its amounts. An account knows what the quota's own
// count does not have yet: a pod that was decided about and has not come, and
// one whose creation the API server has told us of before the count that it
// changed. The larger of both is taken, as the quota's count has in turn pods
// that we have not seen, or that ended and are still to be counted off.
type account struct {
	quota *Quota
	sums  []int64
}

// add counts a pod, or with sign −1 no longer.
func (a *account) add(needs Resources, c *Charge, sign int64) {
	if !a.quota.counts(c) {
		return
	}
	for i := range a.sums {
		a.sums[i] += sign * a.quota.Amounts[i].measure.of(needs, c)
	}
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
		if q.widened(old) {
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
	a := &account{q, make([]int64, len(q.Amounts))}
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

// charge counts a pod or reservation for the quotas of its namespace, or with
// sign −1 no longer.
func (inv *Inventory) charge(namespace string, needs Resources, c *Charge, sign int64) {
	for _, a := range inv.accounts[namespace] {
		a.add(needs, c, sign)
	}
}

// refusal says which quota would refuse a pod made for an option, nil when none
// would.
func (inv *Inventory) refusal(namespace string, o *Option) *Refusal {
	for _, a := range inv.accounts[namespace] {
		if r := a.quota.refuses(a.sums, o.Needs, &o.Charge); r != nil {
			return r
		}
	}
	return nil
}
