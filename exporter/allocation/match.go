package allocation

import (
	"maps"
	"slices"

	"heteroaccel.io/exporter/discovery"
	"heteroaccel.io/pkg/accel"
)

// serving is as what a found device is served: by a device plugin, by a DRA
// driver, by neither, or by both.
type serving struct {
	unit    *unit
	claimed *claimed
}

// matched says which units and claims are which devices of the machine.
type matched struct {
	devices       []serving // by index of the found device
	unknown       []*unit   // units that are no device that was found
	unknownClaims []*claimed
	strangers     map[accel.Kind]bool // kinds of which the unknown have some
}

// match finds for each unit, and for each claimed device, the device that goes
// by its name. A device served under two resources goes to the one its driver
// has by rule, else to the first in order; the other stays a unit of its own.
func match(found []discovery.Device, units []*unit, claims []*claimed) matched {
	byName := map[accel.Kind]map[string]int{}
	for i, f := range found {
		if byName[f.Kind] == nil {
			byName[f.Kind] = map[string]int{}
		}
		for _, name := range f.Names {
			byName[f.Kind][name] = i
		}
	}
	m := matched{devices: make([]serving, len(found)), strangers: map[accel.Kind]bool{}}
	var nameless []*unit
	for _, u := range units {
		i, ok := byName[u.kind][u.name]
		switch {
		case !ok:
			nameless = append(nameless, u)
		case m.devices[i].unit == nil:
			m.devices[i].unit = u
		case u.resource == found[i].Resource:
			m.unknown = append(m.unknown, m.devices[i].unit)
			m.devices[i].unit = u
		default:
			m.unknown = append(m.unknown, u)
		}
	}
	rest := m.claim(byName, claims)
	s := soleOf(found, m.devices, nameless, rest)
	for _, u := range nameless {
		if i, ok := s.unit(u); ok && m.devices[i].unit == nil {
			m.devices[i].unit = u
			continue
		}
		m.unknown = append(m.unknown, u)
		m.strangers[u.kind] = true
	}
	for _, c := range rest {
		if i, ok := s.device(c.kind, c.device); ok && m.devices[i].claimed == nil {
			m.devices[i].claimed = c
			continue
		}
		m.unknownClaims = append(m.unknownClaims, c)
		m.strangers[c.kind] = true
	}
	return m
}

// claim gives claimed devices to the devices that go by one of their names, and
// returns those that none goes by. Parts of one device come together.
func (m *matched) claim(byName map[accel.Kind]map[string]int, claims []*claimed) (rest []*claimed) {
	for _, c := range claims {
		i, ok := find(byName, c)
		switch {
		case !ok:
			rest = append(rest, c)
		case m.devices[i].claimed == nil:
			m.devices[i].claimed = c
		default:
			have := m.devices[i].claimed
			have.claims = append(have.claims, c.claims...)
		}
	}
	return rest
}

// find returns the device that goes by a name of a claimed one: of the kind that
// the DRA driver's name says, else of any.
func find(byName map[accel.Kind]map[string]int, c *claimed) (index int, ok bool) {
	for _, name := range c.names() {
		if c.apart {
			index, ok = byName[c.kind][name]
		} else {
			for _, kind := range slices.Sorted(maps.Keys(byName)) {
				if index, ok = byName[kind][name]; ok {
					break
				}
			}
		}
		if ok {
			return index, true
		}
	}
	return 0, false
}

// sole pairs what has a name that says nothing with the only device it can be:
// the only one left that is served under its resource by rule, else the only
// one left of its kind, when nothing else without a name competes for it.
type sole struct {
	byRule map[rule]one       // found devices that are served so by rule
	byKind map[accel.Kind]one // found devices
	served map[string]int     // how many nameless units have a resource
	kinds  map[accel.Kind]int // how many nameless units and claims are of a kind
}

// rule is a kind, and the resource it is served as.
type rule struct {
	kind     accel.Kind
	resource string
}

// one is a device, its index, and how many could stand for it.
type one struct {
	device *discovery.Device
	index  int
	count  int
}

// soleOf counts what is left to pair: devices that neither is served as yet, and
// units and claims without a name.
func soleOf(found []discovery.Device, devices []serving, nameless []*unit, claims []*claimed) sole {
	s := sole{map[rule]one{}, map[accel.Kind]one{}, map[string]int{}, map[accel.Kind]int{}}
	for i := range found {
		if f := &found[i]; devices[i].unit == nil {
			by := rule{f.Kind, f.Resource}
			s.byRule[by] = one{f, i, s.byRule[by].count + 1}
			s.byKind[f.Kind] = one{f, i, s.byKind[f.Kind].count + 1}
		}
	}
	for _, u := range nameless {
		s.served[u.resource]++
		s.kinds[u.kind]++
	}
	for _, c := range claims {
		s.kinds[c.kind]++
	}
	return s
}

// unit returns the only device that a unit can be.
func (s sole) unit(u *unit) (index int, ok bool) {
	if d := s.byRule[rule{u.kind, u.resource}]; d.count == 1 && s.served[u.resource] == 1 {
		return d.index, d.may(u.name)
	}
	return s.device(u.kind, u.name)
}

// device returns the only device of a kind, for something of that name.
func (s sole) device(kind accel.Kind, name string) (index int, ok bool) {
	d := s.byKind[kind]
	return d.index, d.count == 1 && s.kinds[kind] == 1 && d.may(name)
}

// may tells whether a device can be meant by a name that is none of its own. The
// kernel's name for a card that it has no more may mean one that has no such
// name now, since its driver let go of it, and never one that has another.
func (d one) may(name string) bool {
	return !kernelName.MatchString(name) || !slices.ContainsFunc(d.device.Names, kernelName.MatchString)
}
