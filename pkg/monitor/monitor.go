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

// Source fetches what is known of all nodes now, at most one sample of each.
// Samples and an error may come together: a dead exporter does not hide the
// others.
type Source func(ctx context.Context) ([]telemetry.Scrape, error)

// DefaultInterval is how often a source is asked unless told otherwise.
const DefaultInterval = 2 * time.Second

// minRound is the least time a round may take: exporters answer within a
// second even when their kubelet does not.
const minRound = 10 * time.Second

// forget is how old a node's last sample gets before its age is no longer
// shown: by then the node is gone, not late.
const forget = 10 * time.Minute

// future is how far ahead of our clock a sample's time may be for the two
// clocks' difference not being known better.
const future = 5 * time.Second

// Monitor asks a source again and again. It is safe for concurrent use.
type Monitor struct {
	source   Source
	interval time.Duration
	sink     func(telemetry.Scrape)
	log      zerolog.Logger

	mu       sync.Mutex
	last     map[string]time.Time // time of the newest sample, by node
	rounds   float64
	failures float64
	success  time.Time // end of the last round without an error
	problem  string    // the last round's error, "" when there was none
}

// New returns a monitor that gives every new sample to sink, from one
// goroutine, in each node's order of time. It starts nothing: Run does.
func New(source Source, interval time.Duration, sink func(telemetry.Scrape), log zerolog.Logger) *Monitor {
	return &Monitor{source: source, interval: interval, sink: sink, log: log, last: map[string]time.Time{}}
}

// Synced says what is missing until the first round is over: then every
// exporter was asked, if not heard. An unreachable source does not hold
// anything up for ever.
func (m *Monitor) Synced() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.rounds == 0 {
		return errors.New("waiting for the first samples")
	}
	return nil
}

// Run asks at once and then at every interval until ctx ends. A round that
// takes longer than the interval delays the next and is not made up for.
func (m *Monitor) Run(ctx context.Context) error {
	if m.interval <= 0 {
		return fmt.Errorf("the interval %s between rounds must be more than 0", m.interval)
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
	limited, cancel := context.WithTimeout(ctx, max(m.interval, minRound))
	samples, err := m.source(limited)
	cancel()
	if ctx.Err() != nil {
		return // what failed did so because we stop
	}
	for _, s := range samples {
		if m.isNew(s) {
			m.sink(s)
		}
	}
	m.finish(err)
}

// isNew tells whether a sample is newer than all before it of its node. One
// from the future does not count: our clock was set back since it came, and
// waiting until it is passed would make the node stale.
func (m *Monitor) isNew(s telemetry.Scrape) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	last := m.last[s.Node]
	if ahead := time.Until(last); ahead < future && !s.Time.After(last) {
		return false
	}
	if s.Time.Equal(last) {
		return false
	}
	m.last[s.Node] = s.Time
	return true
}

// finish notes how a round went, and logs when that changes.
func (m *Monitor) finish(err error) {
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
		if now.Sub(at) > forget {
			delete(m.last, node)
		}
	}
	m.mu.Unlock()
	switch {
	case problem != "" && before == "":
		m.log.Warn().Err(err).Msg("not every exporter could be read")
	case problem == "" && before != "":
		m.log.Info().Msg("every exporter is read again")
	}
}

// newest keeps one sample of each node, the newest, in the order in which the
// nodes first came.
func newest(samples []telemetry.Scrape) []telemetry.Scrape {
	at := map[string]int{}
	var out []telemetry.Scrape
	for _, s := range samples {
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

// errTooLarge says that a body had more than its limit.
var errTooLarge = errors.New("the answer is too large")
