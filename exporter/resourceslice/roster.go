package resourceslice

import (
	"maps"
	"slices"
	"time"

	resourceapi "k8s.io/api/resource/v1"
)

const (
	// keepGone is how long a device that is gone stays published, with a taint: a
	// stick is gone for a second whenever a program boots it.
	keepGone = 10 * time.Minute
	// maxHold is the longest time for which a taint outlives its reason.
	maxHold = 5 * time.Minute
	// calm is how long a device must have had no taint until it counts as one that
	// does not come and go.
	calm = 10 * time.Minute
)

// Roster is what was described of a node's devices. It is not safe for concurrent use.
type Roster struct {
	// settle is how long a device must be usable until its taint goes.
	settle time.Duration
	known  map[string]*entry // by name
}

// entry is a device of the roster.
type entry struct {
	device resourceapi.Device
	seen   time.Time
	holds  map[string]*hold // by the key of the taint
}

// hold is a taint, there or not.
type hold struct {
	value   string        // as published; "" for none
	changed time.Time     // when the value was
	wanted  time.Time     // when it last had a reason
	length  time.Duration // how long it outlives that
}

// NewRoster returns one in which a taint goes once its device has been usable for a
// time.
func NewRoster(settle time.Duration) *Roster {
	return &Roster{settle: settle, known: map[string]*entry{}}
}

// Update describes the devices that there are now, in the order of their names.
// complete is set when everything could be read: only then is a device that is missing
// gone. The same devices give the same description.
func (r *Roster) Update(now time.Time, offers []Offer, complete bool) []resourceapi.Device {
	faults := map[string]map[string]string{}
	for _, o := range offers {
		d := o.describe()
		e := r.known[d.Name]
		if e == nil {
			e = &entry{holds: map[string]*hold{}}
			r.known[d.Name] = e
		}
		e.device, e.seen = d, now
		faults[d.Name] = o.faults()
	}
	var out []resourceapi.Device
	for _, name := range slices.Sorted(maps.Keys(r.known)) {
		e := r.known[name]
		want, found := faults[name]
		switch {
		case found:
		case !complete: // it may be there
			out = append(out, e.describe())
			continue
		case now.Sub(e.seen) > keepGone:
			delete(r.known, name)
			continue
		default:
			want = map[string]string{taintKeys[0]: gone}
		}
		for _, key := range taintKeys {
			h := e.holds[key]
			if h == nil {
				h = &hold{}
				e.holds[key] = h
			}
			h.update(now, labelValue(want[key]), r.settle)
		}
		out = append(out, e.describe())
	}
	return out
}

// update sets the taint to a value, "" for none.
func (h *hold) update(now time.Time, value string, settle time.Duration) {
	if value != "" {
		h.wanted = now
	}
	switch {
	case h.value == "" && value == "":
	case h.value == "":
		h.length = min(2*h.length, maxHold)
		if h.changed.IsZero() || now.Sub(h.changed) > calm {
			h.length = settle
		}
		h.value, h.changed = value, now
	case value == "" && now.Sub(h.wanted) >= h.length,
		value != "" && value != h.value && now.Sub(h.changed) >= h.length:
		h.value, h.changed = value, now
	}
}

// describe is the device with its taints.
func (e *entry) describe() resourceapi.Device {
	d := e.device
	for _, key := range taintKeys {
		if h := e.holds[key]; h != nil && h.value != "" {
			d.Taints = append(d.Taints, newTaint(key, h.value))
		}
	}
	return d
}
