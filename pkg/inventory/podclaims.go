package inventory

import (
	"cmp"
	"slices"
	"unique"

	corev1 "k8s.io/api/core/v1"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/resources"
)

// podClaims is what only pods have to which ResourceClaims can be allocated. It is
// immutable.
//
// What Needs counts for devices of DeviceClasses counts until the claim that gets them
// is allocated, and from then on the allocation alone does: see Allocation.
//
//	pending ──▶ its claim is allocated ──▶ bound ──▶ ended ──▶ its claim is deallocated
//	  Needs                     the allocation ──────────────▶  nothing
//
// The feed of pods and that of claims do not wait for one another. A pod that is bound
// before its allocation is known counts its Needs; one whose allocation is known to have
// ended while it is bound counts none.
type podClaims struct {
	// class is what Needs counts for the pod's Claim, "" for the CPU. implicit is what
	// it requests of DeviceClasses itself, by their implicit names.
	class    string
	implicit resources.Amounts
	// allocated is set once Claim is, extendedAllocated once that for implicit is.
	allocated, extendedAllocated bool
	// counts is Needs without what allocations count in its place, holds is that and
	// what is allocated to the pod alone.
	counts, holds resources.Amounts
	// granted is what Claim was last seen to have of a node's devices, which a bound pod
	// keeps when its claim is deallocated, as it is when the pod ends; grantedOn is that
	// node.
	granted   resources.Amounts
	grantedOn string
	// releases is what allocations of the pod's still hold on its node, although it has
	// ended: Kubernetes deallocates them in a moment.
	releases resources.Amounts
}

// implicitOf are those of a pod's requests that name DeviceClasses, for which
// kube-scheduler makes a ResourceClaim; the first MaxDevices of them.
func implicitOf(requests corev1.ResourceList) resources.Amounts {
	var of resources.Amounts
	for name, q := range requests {
		if _, ok := accel.ClassOf(string(name)); ok {
			if count := resources.Whole(&q); count > 0 {
				of.Devices = append(of.Devices, resources.Devices{Resource: unique.Make(string(name)).Value(), Count: count})
			}
		}
	}
	slices.SortFunc(of.Devices, func(a, b resources.Devices) int { return cmp.Compare(a.Resource, b.Resource) })
	of.Devices = of.Devices[:min(len(of.Devices), MaxDevices)]
	return of
}

// sum is r and more devices, by resource.
func sum(r, more resources.Amounts) resources.Amounts {
	for _, d := range more.Devices {
		r = r.With(d.Resource, d.Count)
	}
	return r
}

// Allocated reports whether the pod's Claim is allocated, as far as is known.
func (p *Pod) Allocated() bool { return p.claims != nil && p.claims.allocated }

// Granted are the devices, by DeviceClass, that kube-scheduler was last seen to have
// allocated to the Claim of a pod, and their node. Of a pod that is bound they stay known
// when the claim is deallocated. node is "" where none was seen.
func (p *Pod) Granted() (devices resources.Amounts, node string) {
	if p.claims == nil {
		return resources.Amounts{}, ""
	}
	return p.claims.granted, p.claims.grantedOn
}

// Holds is what the pod requests and, in place of what it requests of DeviceClasses,
// what is allocated to its ResourceClaims once it is.
func (p *Pod) Holds() resources.Amounts {
	if p.claims == nil {
		return p.Needs
	}
	return p.claims.holds
}

// releasing reports whether the pod has ended and is one of its node's releasing; p may be
// nil.
func (p *Pod) releasing() bool {
	return p != nil && p.claims != nil && len(p.claims.releases.Devices) > 0
}

// counts is what the pod counts as on its node, or while it is pending.
func (p *Pod) counts() resources.Amounts {
	if p.claims == nil {
		return p.Needs
	}
	return p.claims.counts
}

// withAllocations is p with what is known of its allocations; old is the record before
// it, nil for the first.
func (inv *Inventory) withAllocations(p, old *Pod) *Pod {
	if p.claims == nil {
		return p
	}
	c := *p.claims
	before := podClaims{}
	if old != nil && old.claims != nil && old.Node != "" && p.Node != "" {
		before = *old.claims
	}
	var own []*Allocation
	for _, a := range inv.allocations.ofPod[p.name()] {
		if a.UID == p.UID {
			own = append(own, a)
		}
	}
	c.allocated = p.Claim != "" && (inv.allocations.byName[p.claimName()] != nil || before.allocated && old.Claim == p.Claim)
	c.extendedAllocated = before.extendedAllocated || slices.ContainsFunc(own, func(a *Allocation) bool { return a.ForExtended })
	c.counts = p.Needs
	if c.allocated && c.class != "" {
		c.counts = c.counts.With(c.class, -1)
	}
	if c.extendedAllocated {
		c.counts = c.counts.Plus(c.implicit, -1)
	}
	c.holds, c.granted, c.grantedOn, c.releases = c.counts, resources.Amounts{}, "", resources.Amounts{}
	if old != nil && old.Claim == p.Claim {
		c.granted, c.grantedOn = before.granted, before.grantedOn
	}
	for _, a := range own {
		c.holds = sum(c.holds, a.Holds)
		if a.Name == p.Claim && a.Node != "" {
			c.granted, c.grantedOn = a.Holds, a.Node
		}
		if p.Done && a.Node != "" && a.Node == p.Node {
			c.releases = sum(c.releases, a.Holds)
		}
	}
	if now := p.claims; c.grantedOn == now.grantedOn && c.granted.Equal(now.granted) && c.releases.Equal(now.releases) && c.allocated == now.allocated && c.extendedAllocated == now.extendedAllocated && c.counts.Equal(now.counts) && c.holds.Equal(now.holds) {
		return p
	}
	m := *p
	m.claims = &c
	return &m
}
