package quota

import (
	"cmp"
	"iter"
	"slices"
	"time"

	"heteroaccel.io/pkg/resources"
)

// Ledger counts what pods and reservations use of the quotas of their
// namespaces. It knows two things that a quota's own count does not have yet:
// pods that were decided about but are not created, and pods that the API server
// has shown before the count they changed. A quota's own count in turn has pods
// that the ledger has not seen, so the larger of both is what is used. A pod that
// ended is in both for a while: see Ended.
//
// The zero value is an empty ledger. It has no lock.
type Ledger struct {
	// accounts are those of each namespace, sorted by the names of the quotas.
	accounts map[string][]*account
}

// Pod is a pod or a reservation as quotas count it. The zero value is none.
type Pod struct {
	Requests resources.Amounts
	Usage    *Usage
}

// account is a quota with what the ledger counts, one sum for each of its
// amounts.
type account struct {
	quota *Quota
	sums  []int64
	// ended is what pods used that ended or are being deleted, and that the
	// quota may still count: until a time, or until its count falls.
	ended []int64
	until time.Time
}

// releaseDelay is how long the API server takes at most, as a rule, to subtract
// a pod that ended.
const releaseDelay = 2 * time.Second

// add counts a pod, or with sign -1 no longer.
func (a *account) add(p Pod, sign int64) {
	if !a.quota.counts(p.Usage) {
		return
	}
	for i := range a.sums {
		a.sums[i] += sign * a.quota.Amounts[i].evaluator.usage(p.Requests, p.Usage)
	}
}

// end moves a pod from the sums to those that ended.
func (a *account) end(p Pod, now time.Time) {
	if !a.quota.counts(p.Usage) {
		return
	}
	if now.After(a.until) {
		clear(a.ended)
	}
	a.until = now.Add(releaseDelay)
	for i := range a.sums {
		n := a.quota.Amounts[i].evaluator.usage(p.Requests, p.Usage)
		a.sums[i] -= n
		a.ended[i] += n
	}
}

// counted is the count of each amount, with the pods that ended just now.
func (a *account) counted(now time.Time) []int64 {
	if now.After(a.until) {
		return a.sums
	}
	counted := slices.Clone(a.sums)
	for i, n := range a.ended {
		counted[i] += n
	}
	return counted
}

// usage is what the quota counts of a pod, by amount; nil if it does not count
// it.
func (a *account) usage(p Pod) []int64 {
	if p.Usage == nil || !a.quota.counts(p.Usage) {
		return nil
	}
	used := make([]int64, len(a.quota.Amounts))
	for i := range used {
		used[i] = a.quota.Amounts[i].evaluator.usage(p.Requests, p.Usage)
	}
	return used
}

// Set takes a new or changed quota; present yields the pods and reservations
// that count in its namespace now. It reports whether the quota may have room
// for pods that it had no room for before.
func (l *Ledger) Set(q *Quota, present iter.Seq[Pod]) (widened bool) {
	accounts := l.accounts[q.Namespace]
	i, known := slices.BinarySearchFunc(accounts, q.Name, byName)
	if known && accounts[i].quota.countsLike(q) {
		raised, less := q.compare(accounts[i].quota)
		accounts[i].quota = q
		if less {
			accounts[i].until = time.Time{}
		}
		return raised || less
	}
	a := &account{quota: q, sums: make([]int64, len(q.Amounts)), ended: make([]int64, len(q.Amounts))}
	for p := range present {
		a.add(p, 1)
	}
	if known {
		accounts[i] = a
		return true
	}
	if l.accounts == nil {
		l.accounts = map[string][]*account{}
	}
	l.accounts[q.Namespace] = slices.Insert(accounts, i, a)
	return true
}

// Delete forgets a quota, and reports whether there was one.
func (l *Ledger) Delete(namespace, name string) bool {
	accounts := l.accounts[namespace]
	i, known := slices.BinarySearchFunc(accounts, name, byName)
	if !known {
		return false
	}
	if accounts = slices.Delete(accounts, i, i+1); len(accounts) == 0 {
		delete(l.accounts, namespace)
	} else {
		l.accounts[namespace] = accounts
	}
	return true
}

func byName(a *account, name string) int { return cmp.Compare(a.quota.Name, name) }

// Limits reports whether a namespace has quotas at all: without any, nothing
// needs to be counted.
func (l *Ledger) Limits(namespace string) bool { return len(l.accounts[namespace]) > 0 }

// Add counts a pod.
func (l *Ledger) Add(namespace string, p Pod) {
	for _, a := range l.accounts[namespace] {
		a.add(p, 1)
	}
}

// Remove undoes an Add: the pod counts no longer, at once.
func (l *Ledger) Remove(namespace string, p Pod) {
	for _, a := range l.accounts[namespace] {
		a.add(p, -1)
	}
}

// Ended undoes the Add of a pod that ended or is being deleted. It counts for a
// while longer, until the API server has subtracted it too.
func (l *Ledger) Ended(namespace string, p Pod, now time.Time) {
	for _, a := range l.accounts[namespace] {
		a.end(p, now)
	}
}

// Refusal says which quota would refuse one more pod, nil when none would.
// replaced is a pod that is gone by then, zero for none.
func (l *Ledger) Refusal(namespace string, p, replaced Pod, now time.Time) *Refusal {
	for _, a := range l.accounts[namespace] {
		if r := a.quota.refuses(a.counted(now), a.usage(replaced), p.Requests, p.Usage); r != nil {
			return r
		}
	}
	return nil
}

// Counted is what the ledger counts in a namespace, by quota and resource:
// milli-cores, bytes or pieces, without pods that ended.
func (l *Ledger) Counted(namespace string) map[string]map[string]int64 {
	counted := map[string]map[string]int64{}
	for _, a := range l.accounts[namespace] {
		sums := map[string]int64{}
		for i, n := range a.sums {
			sums[a.quota.Amounts[i].Resource] = n
		}
		counted[a.quota.Name] = sums
	}
	return counted
}
