package collector

import (
	"slices"
	"sync"
	"time"

	"heteroaccel.io/exporter/discovery"
	"heteroaccel.io/pkg/accel"
)

// loads computes from the kernel's counters how busy each device was between
// scrapes, and for how long in all. The zero loads is ready to use.
type loads struct {
	mu sync.Mutex
	of map[accel.DeviceKey]*load
}

// load is how busy one device is.
type load struct {
	from   time.Time // when the window began, zero before the first
	base   discovery.Activity
	worked time.Duration // in all windows
	share  *float64      // of the last window, nil before it ends
}

// measure sets how busy devices are, by what discovery found now. It forgets
// devices that were not found.
func (l *loads) measure(now time.Time, found []discovery.Device, devices []accel.Device) {
	l.mu.Lock()
	defer l.mu.Unlock()
	next := map[accel.DeviceKey]*load{}
	for _, f := range found {
		a, key := f.Activity, f.Key()
		if a.Busy == nil && a.Idle == nil && a.Share == nil && !a.Asleep {
			continue
		}
		next[key] = l.of[key]
		if next[key] == nil {
			next[key] = &load{}
		}
		next[key].add(now, a)
	}
	l.of = next
	for i := range devices {
		d := &devices[i]
		if m := next[d.Key()]; m != nil {
			d.Busy = m.share
			if m.base.Share == nil {
				d.BusySeconds = new(m.worked.Seconds())
			}
		}
	}
}

// add ends the window with the kernel's present counters, and begins the next.
// Within minWindow the previous value remains. A device that is powered down has
// done nothing. When it wakes, or when its counter went backwards (i915's
// overflows after 49 days), measuring starts again.
func (m *load) add(now time.Time, a discovery.Activity) {
	window := now.Sub(m.from)
	if a.Share != nil {
		m.from, m.base, m.share = now, a, a.Share
		return
	}
	if !m.from.IsZero() && window.Seconds() < minWindow {
		return
	}
	worked, ok := between(m.base, a, window)
	m.share = nil
	if ok && !m.from.IsZero() {
		worked = min(max(worked, 0), window)
		m.worked += worked
		m.share = new(worked.Seconds() / window.Seconds())
	}
	m.from, m.base = now, a
}

// between is how long a device worked in a window. The parts of a GPU sleep
// independently; the one that slept least counts. ok is false when it is unknown.
func between(x, y discovery.Activity, window time.Duration) (worked time.Duration, ok bool) {
	switch {
	case y.Asleep:
		return 0, true
	case x.Asleep:
		return 0, false
	case x.Busy != nil && y.Busy != nil:
		return *y.Busy - *x.Busy, *y.Busy >= *x.Busy
	case x.Idle == nil || len(x.Idle) != len(y.Idle):
		return 0, false
	}
	slept := make([]time.Duration, len(x.Idle))
	for i := range slept {
		if slept[i] = y.Idle[i] - x.Idle[i]; slept[i] < 0 {
			return 0, false
		}
	}
	return window - slices.Min(slept), true
}
