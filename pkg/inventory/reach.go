package inventory

// reach is which nodes the pods with the same constraints may run on. It
// changes only with the nodes' labels and taints.
type reach struct {
	constraints *Constraints
	allowed     places
	// shapes is how many shapes use it.
	shapes int
}

// reach returns the one reach of c.
func (inv *Inventory) reach(c *Constraints) *reach {
	r := &reach{constraints: c}
	if known := inv.reaches[r.key()]; known != nil {
		return known
	}
	inv.reaches[r.key()] = r
	if names, ok := c.names(); ok {
		for _, name := range names {
			if n := inv.nodes[name]; n != nil {
				r.set(n)
			}
		}
		return r
	}
	for _, n := range inv.places {
		if n != nil {
			r.set(n)
		}
	}
	return r
}

func (r *reach) key() string {
	if r.constraints == nil {
		return ""
	}
	return r.constraints.key
}

// tied reports whether the constraints name nodes, by selector, affinity or
// volume.
func (r *reach) tied() bool {
	return r.constraints != nil && (r.constraints.affinity != nil || len(r.constraints.volumes) > 0)
}

func (r *reach) set(n *Node) { r.allowed.set(n.place, r.constraints.Allow(n)) }
