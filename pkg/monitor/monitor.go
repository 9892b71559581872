package monitor

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"heteroaccel.io/pkg/telemetry"
)

// Source fetches the newest telemetry of all nodes, at most one scrape of each.
// Scrapes and an error may come together: a dead exporter does not hide the
// others.
type Source func(ctx context.Context) ([]telemetry.Scrape, error)

// DefaultInterval is how often a source is asked by default.
const DefaultInterval = 2 * time.Second

// minTimeout is the shortest timeout of a round.
const minTimeout = 10 * time.Second

// forgetAfter is when the age of a node's telemetry is no longer reported: by
// then the node is gone, not late.
const forgetAfter = 10 * time.Minute

// maxAhead is how far a scrape's time may be ahead of our clock, since the
// difference of the clocks is known no better.
const maxAhead = 5 * time.Second

// Monitor polls a source. It is safe for concurrent use.
type Monitor struct {
	source   Source
	interval time.Duration
	sink     func(telemetry.Scrape)
	log      zerolog.Logger

	mu       sync.Mutex
	last     map[string]time.Time // time of the newest scrape, by node
	rounds   float64
	failures float64
	success  time.Time // end of the last round without an error
	problem  string    // the last round's error, "" when there was none
}

// New returns a monitor that passes every new scrape to sink, from one
// goroutine, those of a node in the order of time. It starts nothing: Run does.
func New(source Source, interval time.Duration, sink func(telemetry.Scrape), log zerolog.Logger) *Monitor {
	return &Monitor{source: source, interval: interval, sink: sink, log: log, last: map[string]time.Time{}}
}

// Synced says what is missing until the first round is over. By then every
// exporter was asked, though it may not have answered: an unreachable source
// blocks nothing for ever.
func (m *Monitor) Synced() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.rounds == 0 {
		return errors.New("waiting for the first telemetry")
	}
	return nil
}

// Run polls at once and then at every interval until ctx ends. A round that
// takes longer than the interval delays the next one.
func (m *Monitor) Run(ctx context.Context) error {
	if m.interval <= 0 {
		return fmt.Errorf("the interval %s between rounds is not positive", m.interval)
	}
	ticker := time.NewTicker(m.interval)
	defer ticker.Stop()
	for {
		m.round(ctx)
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// round asks the source once.
func (m *Monitor) round(ctx context.Context) {
	limited, cancel := context.WithTimeout(ctx, max(m.interval, minTimeout))
	scrapes, err := m.source(limited)
	cancel()
	if ctx.Err() != nil {
		return // the error comes from stopping
	}
	for _, s := range scrapes {
		if m.isNew(s) {
			m.sink(s)
		}
	}
	m.record(err)
}

// isNew reports whether a scrape is newer than all earlier ones of its node. An
// earlier one from the future does not count: our clock was set back since, and
// waiting until that time would make the node stale.
func (m *Monitor) isNew(s telemetry.Scrape) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	last := m.last[s.Node]
	if ahead := time.Until(last); ahead < maxAhead && !s.Time.After(last) {
		return false
	}
	if s.Time.Equal(last) {
		return false
	}
	m.last[s.Node] = s.Time
	return true
}

// record keeps the outcome of a round, and logs when it changes.
func (m *Monitor) record(err error) {
	now := time.Now()
	problem := ""
	if err != nil {
		problem = err.Error()
	}
	m.mu.Lock()
	before := m.problem
	m.problem = problem
	m.rounds++
	if err != nil {
		m.failures++
	} else {
		m.success = now
	}
	for node, at := range m.last {
		if now.Sub(at) > forgetAfter {
			delete(m.last, node)
		}
	}
	m.mu.Unlock()
	switch {
	case problem != "" && before == "":
		m.log.Warn().Err(err).Msg("some exporters cannot be read")
	case problem == "" && before != "":
		m.log.Info().Msg("all exporters can be read again")
	}
}

// newest keeps the newest scrape of each node, in the order in which the nodes
// first appear.
func newest(scrapes []telemetry.Scrape) []telemetry.Scrape {
	at := map[string]int{}
	var out []telemetry.Scrape
	for _, s := range scrapes {
		i, known := at[s.Node]
		switch {
		case !known:
			at[s.Node] = len(out)
			out = append(out, s)
		case s.Time.After(out[i].Time):
			out[i] = s
		}
	}
	return out
}

// errTooLarge: a body is longer than its limit.
var errTooLarge = errors.New("the body is too large")
