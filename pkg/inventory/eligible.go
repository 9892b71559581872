package inventory

// eligibleNodes is which nodes the pods with the same constraints may run on. It
// changes only with the nodes' labels and taints.
type eligibleNodes struct {
	constraints *Constraints
	nodes       nodeSet
	// classes is how many shapes use it.
	classes int
}

// eligibleFor returns the one reach of c.
func (inv *Inventory) eligibleFor(c *Constraints) *eligibleNodes {
	r := &eligibleNodes{constraints: c}
	if known := inv.eligible[r.key()]; known != nil {
		return known
	}
	inv.eligible[r.key()] = r
	if names, ok := c.onlyNodes(); ok {
		for _, name := range names {
			if n := inv.nodes[name]; n != nil {
				r.set(n)
			}
		}
		return r
	}
	for _, n := range inv.byIndex {
		if n != nil {
			r.set(n)
		}
	}
	return r
}

func (r *eligibleNodes) key() string {
	if r.constraints == nil {
		return ""
	}
	return r.constraints.key
}

// restricted reports whether the constraints name nodes, by selector, affinity or
// volume.
func (r *eligibleNodes) restricted() bool {
	return r.constraints != nil && (r.constraints.affinity != nil || len(r.constraints.volumes) > 0)
}

func (r *eligibleNodes) set(n *Node) { r.nodes.set(n.index, r.constraints.Allow(n)) }
