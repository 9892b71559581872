package inventory

import (
	"cmp"
	"slices"

	"heteroaccel.io/pkg/resources"
)

// A podClass is pods with equal needs and constraints, for which the scheduler
// finds the same nodes. There are few, about one for each pod template, so what
// a decision asks of thousands of nodes is kept per class: how many of its pods
// claim capacity, and, for a class that decisions ask about, a fitTable that
// every change of a node updates. A decision then reads sums.
type podClass struct {
	key      string
	needs    resources.Amounts
	eligible *eligibleNodes
	// claims is how many pending pods and reservations of this class there are.
	claims int64
	// unschedulable is for how many of them the scheduler found no node.
	unschedulable int64
	// preferring are those of them that prefer nodes, by preference.
	preferring []preferring
	// table is nil until a decision asks for it.
	table *fitTable
}

// class returns the one class of these needs and constraints.
func (inv *Inventory) class(needs resources.Amounts, c *Constraints) *podClass {
	var buf [256]byte
	key := needs.AppendKey(buf[:0])
	if c != nil {
		key = append(key, c.key...)
	}
	if known := inv.classes[string(key)]; known != nil {
		return known
	}
	class := &podClass{key: string(key), needs: needs, eligible: inv.eligibleFor(c)}
	class.eligible.classes++
	inv.classes[class.key] = class
	return class
}

// dropUnused forgets a class that has neither claims nor a table.
func (inv *Inventory) dropUnused(c *podClass) {
	if c.claims > 0 || c.table != nil {
		return
	}
	delete(inv.classes, c.key)
	if c.eligible.classes--; c.eligible.classes == 0 {
		delete(inv.eligible, c.eligible.key())
	}
}

// claim is what a pending pod or a reservation takes of free capacity.
type claim struct {
	class     *podClass
	preferred *preferredNodes // nil for none
	// unschedulable is set when the scheduler found no node for the pod.
	unschedulable bool
}

// addClaim counts one more claim. Each has to be removed.
func (inv *Inventory) addClaim(needs resources.Amounts, constraints *Constraints, unschedulable bool) claim {
	c := inv.class(needs, constraints)
	if unschedulable {
		c.unschedulable++
	}
	if c.claims++; c.claims == 1 {
		i, _ := slices.BinarySearchFunc(inv.claiming, c, claimOrder)
		inv.claiming = slices.Insert(inv.claiming, i, c)
	}
	return claim{c, inv.addPreference(c, constraints.preference()), unschedulable}
}

// removeClaim undoes addClaim.
func (inv *Inventory) removeClaim(old claim) {
	inv.wake()
	c := old.class
	inv.removePreference(c, old.preferred)
	if old.unschedulable {
		c.unschedulable--
	}
	if c.claims--; c.claims == 0 {
		i, _ := slices.BinarySearchFunc(inv.claiming, c, claimOrder)
		inv.claiming = slices.Delete(inv.claiming, i, i+1)
		inv.dropUnused(c)
	}
}

// claimOrder puts classes first that are restricted to certain nodes. The rest
// is by key, so that the same state gives the same answer in whatever order the
// pods came.
func claimOrder(a, b *podClass) int {
	if restricted := a.eligible.restricted(); restricted != b.eligible.restricted() {
		if restricted {
			return -1
		}
		return 1
	}
	return cmp.Compare(a.key, b.key)
}
