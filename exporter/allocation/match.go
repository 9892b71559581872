package allocation

import (
	"maps"
	"slices"

	"heteroaccel.io/pkg/accel"
)

// serving is as what a found device is served: by device plugins, under one
// resource or several, by a DRA driver, by neither, or by both.
type serving struct {
	units   []*unit
	claimed *claimed
}

// matched says which units and claims are which devices of the machine.
type matched struct {
	devices       []serving // by index of the found device
	unknown       []*unit   // units that are no device that was found
	unknownClaims []*claimed
	strangers     map[accel.Kind]bool // kinds of which the unknown have some
	// doubtful are the kinds of which more is served than works, so that one
	// of the unknown units is a device that does not.
	doubtful map[accel.Kind]bool
}

// match finds for each unit, and for each claimed device, the device that goes
// by its name, and for what has a name that says nothing the only device that
// it can be.
func match(machine Machine, known names, units []*unit, claims []*claimed) matched {
	m := matched{
		devices: make([]serving, len(known.found)), strangers: map[accel.Kind]bool{}, doubtful: map[accel.Kind]bool{},
	}
	var nameless []*unit
	for _, u := range units {
		if u.found < 0 {
			nameless = append(nameless, u)
			continue
		}
		m.serve(u.found, u)
	}
	nameless = m.parts(known, nameless)
	rest := m.claim(known, claims)
	if machine.Complete {
		nameless = joinShares(known, m.devices, nameless, rest)
	}
	s := soleOf(known.found, m.devices, nameless, rest)
	for _, u := range nameless {
		if i, ok := s.unit(u); ok && len(m.devices[i].units) == 0 {
			m.serve(i, u)
			continue
		}
		m.unknown = append(m.unknown, u)
		m.strangers[u.kind] = true
	}
	for _, c := range rest {
		if i, ok := s.device(c.kind, c.driver, c.device); ok && m.devices[i].claimed == nil {
			m.devices[i].claimed = c
			continue
		}
		m.unknownClaims = append(m.unknownClaims, c)
		m.strangers[c.kind] = true
	}
	for i, f := range known.found {
		// The resource that the driver has by rule is the device's own.
		slices.SortStableFunc(m.devices[i].units, func(x, y *unit) int {
			return rank(x.resource == f.Resource) - rank(y.resource == f.Resource)
		})
	}
	m.doubt(known)
	return m
}

func rank(first bool) int {
	if first {
		return 0
	}
	return 1
}

// serve notes that a unit is a device of the machine, or a part of it: what one
// resource serves of a device is one.
func (m *matched) serve(i int, u *unit) {
	for _, have := range m.devices[i].units {
		if have.resource == u.resource {
			have.join(u)
			return
		}
	}
	m.devices[i].units = append(m.devices[i].units, u)
}

// parts gives MIG devices, whose names the kernel does not know, to the only
// GPU that is divided into such, and returns the other units.
func (m *matched) parts(known names, nameless []*unit) (rest []*unit) {
	var divided []int
	for i, f := range known.found {
		if f.Instances > 0 {
			divided = append(divided, i)
		}
	}
	for _, u := range nameless {
		if len(divided) == 1 && isPart(u.name) {
			m.serve(divided[0], u)
			continue
		}
		rest = append(rest, u)
	}
	return rest
}

// claim gives claimed devices to the devices that go by one of their names, and
// returns those that none goes by. Parts of one device come together.
func (m *matched) claim(known names, claims []*claimed) (rest []*claimed) {
	for _, c := range claims {
		i, ok := find(known, c)
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
func find(known names, c *claimed) (index int, ok bool) {
	for _, name := range c.names() {
		if c.apart {
			index, ok = known.of(c.kind, name)
		} else if at := known.by[name]; len(at) > 0 {
			index, ok = at[0], true
		}
		if ok {
			return index, true
		}
	}
	return 0, false
}

// joinShares makes one unit of those of a resource whose ids say nothing where
// the machine has but one device that they can be shares of: a generic plugin
// gives each share of a device an id of its own. An id that names a device for
// itself is no share, and no other unit or claim of the kind may be left.
func joinShares(known names, devices []serving, nameless []*unit, claims []*claimed) []*unit {
	left := map[accel.Kind]int{}
	for i, f := range known.found {
		if len(devices[i].units) == 0 && devices[i].claimed == nil {
			left[f.Kind]++
		}
	}
	resources := map[accel.Kind]map[string]bool{}
	for _, u := range nameless {
		if resources[u.kind] == nil {
			resources[u.kind] = map[string]bool{}
		}
		resources[u.kind][u.resource] = true
	}
	taken := map[accel.Kind]bool{}
	for _, u := range nameless {
		taken[u.kind] = taken[u.kind] || exact.MatchString(u.name) || uuid.MatchString(u.name) || isPart(u.name)
	}
	for _, c := range claims {
		taken[c.kind] = true
	}
	first := map[accel.Kind]*unit{}
	var out []*unit
	for _, u := range nameless {
		if left[u.kind] != 1 || len(resources[u.kind]) != 1 || taken[u.kind] {
			out = append(out, u)
			continue
		}
		if have := first[u.kind]; have != nil {
			have.join(u)
			continue
		}
		first[u.kind] = u
		out = append(out, u)
	}
	return out
}

// doubt finds the kinds of which more units are unknown than there are devices
// left that work: one of them is a device that does not, and which is unknown.
func (m *matched) doubt(known names) {
	broken, sound := map[accel.Kind]bool{}, map[accel.Kind]int{}
	for i, f := range known.found {
		switch {
		case len(m.devices[i].units) > 0 || m.devices[i].claimed != nil:
		case f.Fault == "":
			sound[f.Kind]++
		default:
			broken[f.Kind] = true
		}
	}
	unknown := map[accel.Kind]int{}
	for _, u := range m.unknown {
		if u.allocatable > 0 && !exact.MatchString(u.name) {
			unknown[u.kind]++
		}
	}
	for kind := range maps.Keys(broken) {
		m.doubtful[kind] = unknown[kind] > sound[kind]
	}
}
