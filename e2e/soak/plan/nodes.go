package plan

import (
	"fmt"
	"math/rand/v2"
	"slices"

	"heteroaccel.io/e2e/machine"
)

// Pools are sets of nodes that DaemonSets run on, by the label PoolLabel.
const PoolLabel = "soak/pool"

// pools is how many there are.
const pools = 3

// drawNodes draws mixed machines. Each of the four resources is on at least two
// of them: what is nowhere could be waited for for ever.
func (p *Plan) drawNodes(r *rand.Rand, n int) {
	p.NodeLabels = map[string]map[string]string{}
	for i := range n {
		m := &machine.Machine{
			Name: fmt.Sprintf("node-%02d", i), CPU: "Intel(R) Core(TM) Ultra 7 258V", MHz: 2200,
			Cores: pick(r, 4, 6, 8, 12), MemoryGiB: pick(r, 8, 16, 32),
		}
		sort := i % 5
		if i >= 10 {
			sort = r.IntN(6)
		}
		switch sort {
		case 0:
			m.Devices = []machine.Device{machine.GPU(0, pick(r, 1, 1, 2))}
		case 1:
			m.Devices = []machine.Device{machine.GPU(0, 1), machine.NPU(0, pick(r, 1, 2))}
		case 2:
			m.Devices = []machine.Device{machine.FPGA(0), machine.Stick(0)}
		case 3:
			m.Devices = []machine.Device{machine.Stick(0), machine.Stick(1), machine.NPU(0, 1)}
		case 4:
			m.Devices = []machine.Device{machine.GPU(0, 1), machine.GPU(1, 1), machine.FPGA(0)}
		}
		p.Machines = append(p.Machines, m)
		p.NodeLabels[m.Name] = map[string]string{
			ZoneLabel: fmt.Sprintf("zone-%d", i%3),
			PoolLabel: fmt.Sprintf("pool-%d", r.IntN(pools)),
		}
	}
	// Not the first five, which have everything once.
	if last := p.Machines[len(p.Machines)-1].Name; n > 5 {
		p.Reserved = append(p.Reserved, last)
	}
}

// offers reports whether a node has a resource at all; every node has cores.
func (p *Plan) offers(node, resource string) bool {
	if resource == "" {
		return true
	}
	return slices.ContainsFunc(p.Machines, func(m *machine.Machine) bool {
		return m.Name == node && slices.ContainsFunc(m.Devices, func(d machine.Device) bool { return d.Resource == resource })
	})
}

// nodes are the nodes that have one of the owner's kinds and that its selector
// and tolerations let it run on.
func (p *Plan) nodes(o *Owner) (names []string) {
	spec := &o.Template.Spec
	for _, m := range p.Machines {
		labels := p.NodeLabels[m.Name]
		selected := true
		for k, v := range spec.NodeSelector {
			selected = selected && labels[k] == v
		}
		if !selected || slices.Contains(p.Reserved, m.Name) && len(spec.Tolerations) == 0 {
			continue
		}
		if slices.ContainsFunc(p.resources(o), func(name string) bool { return p.offers(m.Name, name) }) {
			names = append(names, m.Name)
		}
	}
	return names
}

// resources are what the owner's kinds are served as, "" for cores.
func (p *Plan) resources(o *Owner) (names []string) {
	for _, k := range o.Kinds {
		if v, ok := p.Variant(o.Inference, k); ok {
			names = append(names, device(v))
		}
	}
	return names
}
