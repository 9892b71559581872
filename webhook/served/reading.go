package served

import (
	"time"

	"heteroaccel.io/pkg/profile"
)

const (
	// enough is how many inferences make a reading: the mean of fewer says little.
	enough = 10
	// longest is how long a window grows that has fewer.
	longest = 10 * time.Minute
	// busy is how many inferences are under way on average in a server that is busy.
	busy = 0.5
)

// counters are a server's own: the time that its inferences took in all, in seconds, and
// how many they were.
type counters struct {
	at         time.Time
	sum, count float64
}

// window is what a server did between two readings of its counters.
type window struct {
	over       time.Duration
	inferences float64
	// took is the time that they took in all, in seconds.
	took float64
}

// between returns what happened from one reading to a later one. ok is false where the
// server began anew meanwhile, or no time has passed.
func between(from, to counters) (w window, ok bool) {
	w = window{to.at.Sub(from.at), to.count - from.count, to.sum - from.sum}
	return w, w.over > 0 && w.inferences >= 0 && w.took >= 0
}

// rate is how many inferences a second there were.
func (w window) rate() float64 { return w.inferences / w.over.Seconds() }

// load is how many inferences were under way on average (Little's law).
func (w window) load() float64 { return w.took / w.over.Seconds() }

// class is the load as a profile's status tells it apart.
func (w window) class() profile.Load {
	if w.load() < busy {
		return profile.Light
	}
	return profile.Busy
}

// each is how long an inference took. Where several were under way all along, it is
// after how long the next was done: what they took includes that they shared the device.
func (w window) each() time.Duration {
	seconds := w.took / w.inferences / max(1, w.load())
	return max(time.Duration(seconds*float64(time.Second)), 1)
}

// history is what was read of one server.
type history struct {
	// last is the latest reading, from where the window begins that is open.
	last, from counters
	// rate is how many inferences a second there were between the last two; rated is set
	// once there were two.
	rate  float64
	rated bool
	// seen is when the latest was read, by our clock: at is Prometheus' where that has it.
	seen time.Time
}

// add takes a reading, and returns the window that it completes, if it does.
func (h *history) add(c counters) (w window, complete bool) {
	before := *h
	h.last = c
	if before.last.at.IsZero() || c.at.Before(before.last.at) {
		h.from = c
		return window{}, false
	}
	if c.at.Equal(before.last.at) { // Prometheus has nothing newer
		h.last = before.last
		return window{}, false
	}
	since, ok := between(before.last, c)
	if !ok {
		h.from, h.rate, h.rated = c, 0, false
		return window{}, false
	}
	h.rate, h.rated = since.rate(), true
	w, ok = between(before.from, c)
	if complete = ok && w.inferences >= enough; complete || w.over > longest {
		h.from = c
	}
	return w, complete
}
