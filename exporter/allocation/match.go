package allocation

import (
	"slices"

	"heteroaccel.io/pkg/accel"
)

// offers is how a discovered device is served: by device plugins, under one
// resource or several, by a DRA driver, by both, or not at all.
type offers struct {
	plugins []*pluginDevice
	dra     *draDevice
}

// matched assigns what is served to the discovered devices.
type matched struct {
	offers          []offers // by index of the discovered device
	unmatched       []*pluginDevice
	unmatchedClaims []*draDevice
	// unmatchedKinds are the kinds of everything unmatched.
	unmatchedKinds map[accel.Kind]bool
	// ambiguous are the kinds of which more devices are served than work: one
	// of the unmatched ones is a device that does not.
	ambiguous map[accel.Kind]bool
}

// match finds the discovered device of everything that is served: first by
// name, then, for names that say nothing, by elimination.
func match(machine Machine, index nameIndex, served []*pluginDevice, claims []*draDevice) matched {
	m := matched{
		offers: make([]offers, len(index.found)), unmatchedKinds: map[accel.Kind]bool{}, ambiguous: map[accel.Kind]bool{},
	}
	var rest []*pluginDevice
	for _, p := range served {
		if p.found < 0 {
			rest = append(rest, p)
			continue
		}
		m.add(p.found, p)
	}
	rest = m.matchMIG(index, rest)
	restClaims := m.matchClaims(index, claims)
	if machine.Complete {
		rest = joinShares(index, m.offers, rest, restClaims)
	}
	e := newElimination(index.found, m.offers, rest, restClaims)
	for _, p := range rest {
		if i, ok := e.plugin(p); ok && len(m.offers[i].plugins) == 0 {
			m.add(i, p)
			continue
		}
		m.unmatched = append(m.unmatched, p)
		m.unmatchedKinds[p.kind] = true
	}
	for _, c := range restClaims {
		if i, ok := e.device(c.kind, c.driver, c.device); ok && m.offers[i].dra == nil {
			m.offers[i].dra = c
			continue
		}
		m.unmatchedClaims = append(m.unmatchedClaims, c)
		m.unmatchedKinds[c.kind] = true
	}
	for i, f := range index.found {
		// The usual resource of the device's driver is first.
		slices.SortStableFunc(m.offers[i].plugins, func(x, y *pluginDevice) int {
			return firstIf(x.resource == f.Resource) - firstIf(y.resource == f.Resource)
		})
	}
	m.findAmbiguous(index)
	return m
}

func firstIf(first bool) int {
	if first {
		return 0
	}
	return 1
}

// add records that p is the discovered device i, or a part of it. Everything
// that one resource serves of a device becomes one.
func (m *matched) add(i int, p *pluginDevice) {
	for _, other := range m.offers[i].plugins {
		if other.resource == p.resource {
			other.join(p)
			return
		}
	}
	m.offers[i].plugins = append(m.offers[i].plugins, p)
}

// matchMIG assigns MIG devices, whose names the kernel does not know, to the
// GPU that is divided into instances, if there is only one. It returns the rest.
func (m *matched) matchMIG(index nameIndex, served []*pluginDevice) (rest []*pluginDevice) {
	var divided []int
	for i, f := range index.found {
		if f.Instances > 0 {
			divided = append(divided, i)
		}
	}
	for _, p := range served {
		if len(divided) == 1 && isMIG(p.name) {
			m.add(divided[0], p)
			continue
		}
		rest = append(rest, p)
	}
	return rest
}

// matchClaims assigns claimed devices to the discovered devices of their names,
// and returns the rest. Parts of one device are joined.
func (m *matched) matchClaims(index nameIndex, claims []*draDevice) (rest []*draDevice) {
	for _, c := range claims {
		i, ok := findClaimed(index, c)
		switch {
		case !ok:
			rest = append(rest, c)
		case m.offers[i].dra == nil:
			m.offers[i].dra = c
		default:
			whole := m.offers[i].dra
			whole.claims = append(whole.claims, c.claims...)
		}
	}
	return rest
}

// findClaimed returns the discovered device that has a name of a claimed one: of
// the kind in the DRA driver's name, if that names one.
func findClaimed(index nameIndex, c *draDevice) (i int, ok bool) {
	for _, name := range c.names() {
		if c.kindKnown {
			i, ok = index.ofKind(c.kind, name)
		} else if at := index.byName[name]; len(at) > 0 {
			i, ok = at[0], true
		}
		if ok {
			return i, true
		}
	}
	return 0, false
}

// joinShares joins all slots of a resource into one device where the machine
// has only one device that they can be shares of: a generic plugin gives each
// share an id of its own. An id that names a device of its own is no share, and
// nothing else of the kind may be unmatched.
func joinShares(index nameIndex, all []offers, served []*pluginDevice, claims []*draDevice) []*pluginDevice {
	unserved := map[accel.Kind]int{}
	for i, f := range index.found {
		if len(all[i].plugins) == 0 && all[i].dra == nil {
			unserved[f.Kind]++
		}
	}
	resources := map[accel.Kind]map[string]bool{}
	whole := map[accel.Kind]bool{} // kinds with something that is no share
	for _, p := range served {
		if resources[p.kind] == nil {
			resources[p.kind] = map[string]bool{}
		}
		resources[p.kind][p.resource] = true
		whole[p.kind] = whole[p.kind] || uniqueName.MatchString(p.name) || uuid.MatchString(p.name) || isMIG(p.name)
	}
	for _, c := range claims {
		whole[c.kind] = true
	}
	first := map[accel.Kind]*pluginDevice{}
	var out []*pluginDevice
	for _, p := range served {
		if unserved[p.kind] != 1 || len(resources[p.kind]) != 1 || whole[p.kind] {
			out = append(out, p)
			continue
		}
		if shared := first[p.kind]; shared != nil {
			shared.join(p)
			continue
		}
		first[p.kind] = p
		out = append(out, p)
	}
	return out
}

// findAmbiguous finds the kinds of which more devices are unmatched than there
// are working devices left.
func (m *matched) findAmbiguous(index nameIndex) {
	broken, working := map[accel.Kind]bool{}, map[accel.Kind]int{}
	for i, f := range index.found {
		switch {
		case len(m.offers[i].plugins) > 0 || m.offers[i].dra != nil:
		case f.Fault == "":
			working[f.Kind]++
		default:
			broken[f.Kind] = true
		}
	}
	unmatched := map[accel.Kind]int{}
	for _, p := range m.unmatched {
		if p.allocatable > 0 && !uniqueName.MatchString(p.name) {
			unmatched[p.kind]++
		}
	}
	for kind := range broken {
		m.ambiguous[kind] = unmatched[kind] > working[kind]
	}
}
