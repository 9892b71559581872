package monitor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"heteroaccel.io/pkg/telemetry"
)

// Source fetches the newest telemetry of all nodes, at most one scrape of each.
// Scrapes and an error may come together: a dead exporter does not hide the
// others. Of a node about which there is a *Conflict there is no scrape.
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
	problem  bool      // whether the last round had an error
	// conflicts are why the telemetry of nodes is ignored, by the last round, and
	// logged when that was last logged of a node.
	conflicts map[string]string
	logged    map[string]time.Time
}

// New returns a monitor that passes every new scrape to sink, from one
// goroutine, those of a node in the order of time. It starts nothing: Run does.
func New(source Source, interval time.Duration, sink func(telemetry.Scrape), log zerolog.Logger) *Monitor {
	return &Monitor{source: source, interval: interval, sink: sink, log: log, last: map[string]time.Time{}, logged: map[string]time.Time{}}
}

// Conflict is why the telemetry of a node is ignored by the last round, "" if it
// is not.
func (m *Monitor) Conflict(node string) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.conflicts[shorten(node)]
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

// record keeps the outcome of a round. It logs when rounds begin to have errors
// and when they end to, and each node's conflict once, until it was resolved for
// forgetAfter.
func (m *Monitor) record(err error) {
	now := time.Now()
	errs := flatten(err)
	m.mu.Lock()
	before := m.problem
	m.problem = err != nil
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
	m.conflicts = conflictsOf(errs)
	for node, at := range m.logged {
		if now.Sub(at) > forgetAfter {
			delete(m.logged, node)
		}
	}
	var report []string
	for node := range m.conflicts {
		if m.logged[node].IsZero() && len(m.logged) < maxConflicts {
			report = append(report, node)
		}
		if len(m.logged) < maxConflicts || !m.logged[node].IsZero() {
			m.logged[node] = now
		}
	}
	conflicts := m.conflicts
	m.mu.Unlock()
	switch {
	case err != nil && !before:
		m.log.Warn().Err(summary(errs)).Msg("some exporters cannot be read")
	case err == nil && before:
		m.log.Info().Msg("all exporters can be read again")
	}
	slices.Sort(report)
	for _, node := range report {
		m.log.Error().Str("node", node).Str("why", conflicts[node]).Msg("telemetry of a node is ignored")
	}
}
