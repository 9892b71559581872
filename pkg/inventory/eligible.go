package inventory

// eligibleNodes are the nodes that pods with equal constraints may run on. They
// change only with the labels and taints of nodes.
type eligibleNodes struct {
	constraints *Constraints
	nodes       nodeSet
	// classes is how many pod classes use them.
	classes int
}

// eligibleFor returns the one set of eligible nodes for c.
func (inv *Inventory) eligibleFor(c *Constraints) *eligibleNodes {
	e := &eligibleNodes{constraints: c}
	if known := inv.eligible[e.key()]; known != nil {
		return known
	}
	inv.eligible[e.key()] = e
	if names, ok := c.onlyNodes(); ok {
		for _, name := range names {
			if n := inv.nodes[name]; n != nil {
				e.set(n)
			}
		}
		return e
	}
	for _, n := range inv.byIndex {
		if n != nil {
			e.set(n)
		}
	}
	return e
}

func (e *eligibleNodes) key() string {
	if e.constraints == nil {
		return ""
	}
	return e.constraints.key
}

// restricted reports whether the constraints select nodes, by node selector,
// affinity or volume.
func (e *eligibleNodes) restricted() bool {
	return e.constraints != nil && (e.constraints.affinity != nil || len(e.constraints.volumes) > 0)
}

// set adds a node or removes it, as its labels and taints are now.
func (e *eligibleNodes) set(n *Node) { e.nodes.set(n.index, e.constraints.Allow(n)) }
