package inventory

// maxConstraintsOf bounds the constraints that are kept for the pods of a namespace,
// and for the classes of its claims, in bytes as the API server encodes them: pods of
// one template share theirs. Those of a DaemonSet of 5,000 nodes take half of it.
const maxConstraintsOf = 8 << 20

// constraintsKey are equal constraints, and preferences, of pods of a namespace.
type constraintsKey struct{ namespace, key, preferred string }

func constraintsKeyOf(p *Pod, c *Constraints) constraintsKey {
	key := constraintsKey{namespace: p.Namespace, key: c.key}
	if c.preferred != nil {
		key.preferred = c.preferred.key
	}
	return key
}

// sharedConstraints are those of several pods, and what they take.
type sharedConstraints struct {
	*Constraints
	pods, kept int
}

// own are the constraints of a pod without those of its volumes; nil when it has none.
func (p *Pod) own() *Constraints {
	switch {
	case p == nil:
		return nil
	case len(p.volumeClaims) > 0:
		return p.ownConstraints
	}
	return p.Constraints
}

// share returns p with the constraints of other pods of its namespace where these are
// equal, and with none that fits anywhere where they are past the bound: then
// kube-scheduler places it alone. Each has to be unshared.
func (inv *Inventory) share(p *Pod) *Pod {
	c := p.own()
	if c == nil || c.tooLarge() {
		return p
	}
	key := constraintsKeyOf(p, c)
	s := inv.shared[key]
	if s == nil {
		s = &sharedConstraints{Constraints: c, kept: c.size}
		if c.preferred != nil {
			s.kept += c.preferred.size
		}
		if inv.constraintsOf[p.Namespace]+s.kept > maxConstraintsOf {
			return inv.constrained(p, tooLargeConstraints(c.size))
		}
		inv.shared[key] = s
		inv.constraintsOf[p.Namespace] += s.kept
	}
	s.pods++
	return inv.constrained(p, s.Constraints)
}

// unshare takes it that a pod of the inventory is there no more.
func (inv *Inventory) unshare(p *Pod) {
	c := p.own()
	if c == nil || c.tooLarge() {
		return
	}
	key := constraintsKeyOf(p, c)
	s := inv.shared[key]
	if s.pods--; s.pods > 0 {
		return
	}
	delete(inv.shared, key)
	if inv.constraintsOf[p.Namespace] -= s.kept; inv.constraintsOf[p.Namespace] == 0 {
		delete(inv.constraintsOf, p.Namespace)
	}
}

// constrained is p with own constraints that are equal to its own, or too large.
func (inv *Inventory) constrained(p *Pod, own *Constraints) *Pod {
	if p.own() == own {
		return p
	}
	m := *p
	m.Constraints = own
	if len(p.volumeClaims) > 0 {
		m.ownConstraints = own
		m.Constraints = inv.constrainToVolumes(p.Namespace, own, p.volumeClaims)
	}
	return &m
}
