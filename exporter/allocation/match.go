package allocation

import (
	"heteroaccel.io/exporter/discovery"
	"heteroaccel.io/pkg/accel"
)

// matched says which units are which devices of the machine.
type matched struct {
	by        []*unit             // by index of the found device; nil where none
	unknown   []*unit             // units that are no device that was found
	strangers map[accel.Kind]bool // kinds of which unknown has some
}

// match finds for each unit the device that a plugin calls by its name. A
// device served under two resources goes to the one its driver has by rule,
// else to the first in order; the other stays a unit of its own.
func match(found []discovery.Device, units []*unit) matched {
	byName := map[accel.Kind]map[string]int{}
	for i, f := range found {
		if byName[f.Kind] == nil {
			byName[f.Kind] = map[string]int{}
		}
		for _, name := range f.Names {
			byName[f.Kind][name] = i
		}
	}
	m := matched{by: make([]*unit, len(found)), strangers: map[accel.Kind]bool{}}
	var nameless []*unit
	for _, u := range units {
		i, ok := byName[u.kind][u.name]
		switch {
		case !ok:
			nameless = append(nameless, u)
		case m.by[i] == nil:
			m.by[i] = u
		case u.resource == found[i].Resource:
			m.unknown = append(m.unknown, m.by[i])
			m.by[i] = u
		default:
			m.unknown = append(m.unknown, u)
		}
	}
	for _, u := range nameless {
		if i, ok := sole(u, found, nameless); ok && m.by[i] == nil {
			m.by[i] = u
			continue
		}
		m.unknown = append(m.unknown, u)
		m.strangers[u.kind] = true
	}
	return m
}

// sole pairs a unit whose name says nothing with the only device it can be:
// the only one that is served under its resource by rule, else the only one of
// its kind, when no other such unit competes for it.
func sole(u *unit, found []discovery.Device, nameless []*unit) (int, bool) {
	i, ok := only(found, func(f discovery.Device) bool { return f.Kind == u.kind && f.Resource == u.resource })
	_, alone := only(nameless, func(o *unit) bool { return o.resource == u.resource })
	if ok && alone {
		return i, true
	}
	i, ok = only(found, func(f discovery.Device) bool { return f.Kind == u.kind })
	_, alone = only(nameless, func(o *unit) bool { return o.kind == u.kind })
	return i, ok && alone
}

// only returns the index of the one element for which is holds, false when
// there is none or another.
func only[T any](list []T, is func(T) bool) (int, bool) {
	index, n := 0, 0
	for i, x := range list {
		if is(x) {
			index, n = i, n+1
		}
	}
	return index, n == 1
}
