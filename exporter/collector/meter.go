package collector

import (
	"sync"

	"heteroaccel.io/exporter/discovery"
)

// minWindow is the shortest time, in seconds, over which load is measured. The
// kernel counts in hundredths of a second, and two scrapers may ask within
// milliseconds of each other.
const minWindow = 0.5

// meter turns the CPU's counters into the cores that were busy between
// scrapes. The zero meter is ready.
type meter struct {
	mu    sync.Mutex
	ready bool
	base  discovery.CPU // where the current window began
	last  float64       // the value of the window before
}

// busy returns how many cores were busy since the scrape before. The first
// time it is the load average of the last minute, or, where there is none, the
// average since boot. Within minWindow the value before stands.
func (m *meter) busy(now discovery.CPU) float64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	total := now.Total - m.base.Total
	switch {
	case !m.ready || total < 0: // the first scrape, or the counters began anew
		m.ready, m.base, m.last = true, now, first(now)
	case total/now.Cores >= minWindow:
		m.last = (now.Busy - m.base.Busy) / total * now.Cores
		m.base = now
	}
	m.last = min(max(m.last, 0), now.Cores)
	return m.last
}

func first(now discovery.CPU) float64 {
	switch {
	case now.Load >= 0:
		return now.Load
	case now.Total > 0:
		return now.Busy / now.Total * now.Cores
	default:
		return 0
	}
}
