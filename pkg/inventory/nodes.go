package inventory

// node returns the record of a node, an empty one if there is none.
func (inv *Inventory) node(name string) *Node {
	if n := inv.nodes[name]; n != nil {
		return n
	}
	return &Node{Name: name}
}

// putNode replaces a node's record by n, which nobody else may have seen yet. It
// drops a node of which nothing is known.
func (inv *Inventory) putNode(n *Node) {
	old := inv.nodes[n.Name]
	if n == old {
		return
	}
	if !n.known && n.Pods == 0 && n.allocations == 0 && !n.fresh {
		if old != nil {
			delete(inv.nodes, n.Name)
			inv.byIndex[old.index] = nil
			inv.updateTables(old.index, nil)
		}
		return
	}
	if old != nil {
		n.index = old.index
	} else {
		n.index = inv.freeIndex()
	}
	inv.nodes[n.Name] = n
	inv.byIndex[n.index] = n
	if old == nil || old.traits != n.traits {
		for _, e := range inv.eligible {
			e.set(n)
		}
		for _, p := range inv.preferred {
			p.set(n)
		}
	}
	inv.updateTables(n.index, n)
	if n.mayFitMore(old) {
		inv.wake()
	}
}

// nodeEdit has the nodes that one step changes, so that each is put once, complete: a
// record in between would look as if something had become free.
type nodeEdit struct{ nodes []*Node }

// edited is the record of a node as the step has changed it so far.
func (inv *Inventory) edited(e *nodeEdit, name string) *Node {
	for _, n := range e.nodes {
		if n.Name == name {
			return n
		}
	}
	return inv.node(name)
}

// put takes a record that nobody else has seen yet, or that has not changed.
func (e *nodeEdit) put(n *Node) {
	for i, o := range e.nodes {
		if o.Name == n.Name {
			e.nodes[i] = n
			return
		}
	}
	e.nodes = append(e.nodes, n)
}

func (inv *Inventory) putEdited(e *nodeEdit) {
	for _, n := range e.nodes {
		inv.putNode(n)
	}
}

// freeIndex returns an index that no node has.
func (inv *Inventory) freeIndex() int {
	if len(inv.byIndex) > len(inv.nodes) {
		for i, n := range inv.byIndex {
			if n == nil {
				return i
			}
		}
	}
	inv.byIndex = append(inv.byIndex, nil)
	return len(inv.byIndex) - 1
}
