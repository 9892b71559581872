package inventory

import (
	"cmp"
	"maps"
	"slices"
)

const (
	// maxWeight is the most that a preference for a node counts: that of one term.
	maxWeight = 100
	// maxPreferences bounds the different preferences of claims that are kept:
	// 5 KB each with 5,000 nodes. Further ones count as claims without any. Of
	// preferences that only decisions asked about, maxTables are kept.
	maxPreferences = 256
)

// preferredNodes are the nodes that pods with equal preferences prefer. They
// change only with the labels of nodes.
type preferredNodes struct {
	key   string
	weigh func(*Node) int64
	// nodes are those of a weight above 0, weights the weights by index of the
	// node, at most maxWeight.
	nodes   nodeSet
	weights []uint8
	// most is what no weight is above.
	most uint8
	// claims is how many claims of all classes have this preference.
	claims   int64
	lastUsed uint64
}

// preferring is how many claims of a class have a preference.
type preferring struct {
	*preferredNodes
	claims int64
}

// set takes a new or changed node.
func (p *preferredNodes) set(n *Node) {
	weight := uint8(min(p.weigh(n), maxWeight))
	for weight > 0 && n.index >= len(p.weights) {
		p.weights = append(p.weights, make([]uint8, n.index+1-len(p.weights))...)
	}
	if n.index < len(p.weights) {
		p.weights[n.index] = weight
	}
	p.nodes.set(n.index, weight > 0)
	p.most = max(p.most, weight)
}

// preferredBy returns the one set of nodes for a preference, nil for none.
func (inv *Inventory) preferredBy(by *Preference) *preferredNodes {
	if by == nil {
		return nil
	}
	inv.tableUses++
	if known := inv.preferred[by.key]; known != nil {
		known.lastUsed = inv.tableUses
		return known
	}
	p := &preferredNodes{key: by.key, weigh: by.Weigh(), lastUsed: inv.tableUses}
	if p.weigh == nil {
		return nil
	}
	inv.dropPreferred()
	inv.preferred[p.key] = p
	if by.nodeNames != nil {
		for _, name := range by.nodeNames {
			if n := inv.nodes[name]; n != nil {
				p.set(n)
			}
		}
		return p
	}
	for _, n := range inv.byIndex {
		if n != nil {
			p.set(n)
		}
	}
	return p
}

// dropPreferred makes room for one more: of those that no claim has, it drops the
// one used longest ago where there are maxTables.
func (inv *Inventory) dropPreferred() {
	if len(inv.preferred)-inv.claimedPreferences < maxTables {
		return
	}
	oldest := slices.MinFunc(slices.Collect(maps.Values(inv.preferred)), func(a, b *preferredNodes) int {
		return cmp.Or(cmp.Compare(min(1, a.claims), min(1, b.claims)), cmp.Compare(a.lastUsed, b.lastUsed))
	})
	delete(inv.preferred, oldest.key)
}

// addPreference counts the preference of one more claim of a class. It returns nil
// when the claim counts as one without.
func (inv *Inventory) addPreference(c *podClass, by *Preference) *preferredNodes {
	if by == nil {
		return nil
	}
	if known := inv.preferred[by.key]; inv.claimedPreferences >= maxPreferences && (known == nil || known.claims == 0) {
		return nil
	}
	p := inv.preferredBy(by)
	if p == nil {
		return nil
	}
	if p.claims++; p.claims == 1 {
		inv.claimedPreferences++
	}
	i, found := c.preferringIndex(p)
	if !found {
		c.preferring = slices.Insert(c.preferring, i, preferring{preferredNodes: p})
	}
	c.preferring[i].claims++
	return p
}

// removePreference undoes addPreference.
func (inv *Inventory) removePreference(c *podClass, p *preferredNodes) {
	if p == nil {
		return
	}
	if p.claims--; p.claims == 0 {
		inv.dropPreferred()
		inv.claimedPreferences--
	}
	i, _ := c.preferringIndex(p)
	if c.preferring[i].claims--; c.preferring[i].claims == 0 {
		c.preferring = slices.Delete(c.preferring, i, i+1)
	}
}

// preferringIndex is where a class has a preference, or would have it: by key, so
// that the same state gives the same answer in whatever order the pods came.
func (c *podClass) preferringIndex(p *preferredNodes) (index int, found bool) {
	return slices.BinarySearchFunc(c.preferring, p, func(a preferring, b *preferredNodes) int { return cmp.Compare(a.key, b.key) })
}

// mostPreferred is the node of a set that is preferred most, of those in a table,
// nil and 0 for none. Nodes without fresh telemetry count only where all are:
// the extender places the pod there last.
func (inv *Inventory) mostPreferred(p *preferredNodes, among nodeSet, t *fitTable) (best *Node, weight uint8) {
	for i := range p.nodes.intersect(among) {
		if t.fits[i].total == 0 || t.fits[i].stale && t.stale < t.nodes || p.weights[i] <= weight {
			continue
		}
		best, weight = inv.byIndex[i], p.weights[i]
		if weight == p.most {
			break
		}
	}
	return best, weight
}
