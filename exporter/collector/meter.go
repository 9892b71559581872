package collector

import (
	"sync"

	"heteroaccel.io/exporter/discovery"
)

// minWindow is the shortest time, in seconds, over which load is measured. The
// kernel counts in hundredths of a second, and two scrapes may come within
// milliseconds of each other.
const minWindow = 0.5

// meter computes from the CPU's counters how many cores were busy between
// scrapes. The zero meter is ready to use.
type meter struct {
	mu    sync.Mutex
	ready bool
	base  discovery.CPU // at the start of the current window
	last  float64       // busy cores in the previous window
}

// busy returns how many cores were busy since the previous scrape. The first time
// it is the load average of the last minute, or, where there is none, the average
// since boot. Within minWindow the previous value remains.
func (m *meter) busy(now discovery.CPU) float64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	total := now.Total - m.base.Total
	switch {
	case !m.ready || total < 0: // the first scrape, or the counters were reset
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
