package served

import (
	"context"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/types"

	"heteroaccel.io/pkg/inventory"
	"heteroaccel.io/pkg/kube"
	"heteroaccel.io/pkg/profile"
	"heteroaccel.io/pkg/servicetime"
)

// Config is what a Meter needs; only Prometheus is optional.
type Config struct {
	Profiles *profile.Store
	// Serves is the variant that a server runs, if what it reports counts: see
	// learning.Learner.
	Serves func(p *inventory.Pod, of *profile.Profile) (*profile.Variant, bool)
	// Codes stand for a namespace: see learning.Config.
	Codes func(inference, namespace string) []string
	// Write adds readings to the status of a profile: see profile.Client.AddServed.
	Write func(ctx context.Context, name string, more map[profile.ServedKey]profile.Runs) (again bool, err error)
	// Prometheus, if not nil, is asked first: servers that it has are not read.
	Prometheus querier
	// Leads returns nil on the replica that decides, the only one that reads.
	Leads func() error
	// Interval is how often servers are read, 0 for never.
	Interval time.Duration
	Registry prometheus.Registerer
	Log      zerolog.Logger
}

const (
	// writeInterval is how often a profile's status is written whose times can be relied on
	// already.
	writeInterval = 5 * time.Minute
	writeTimeout  = 5 * time.Second
	// logInterval is how often errors of an inference are logged: each of its servers has
	// one of its own in each round.
	logInterval = 5 * time.Minute
)

// Meter reads servers. Use New.
type Meter struct {
	Config
	pods   pods
	client *http.Client
	reads  *prometheus.CounterVec // by outcome

	// mu guards what the collector reads too.
	mu        sync.Mutex
	histories map[types.UID]*history
	logged    map[string]time.Time // when an error of each inference was logged last

	// These belong to the goroutine of Run.
	unwritten map[string]map[profile.ServedKey]profile.Runs
	written   map[string]time.Time
}

// New returns a meter that has read nothing.
func New(c Config) *Meter {
	m := &Meter{
		Config: c, client: newClient(), reads: newReads(), pods: pods{byName: map[types.NamespacedName]server{}},
		histories: map[types.UID]*history{}, unwritten: map[string]map[profile.ServedKey]profile.Runs{},
		written: map[string]time.Time{}, logged: map[string]time.Time{},
	}
	c.Registry.MustRegister(m.reads, m)
	return m
}

// Set takes a new or changed pod, Delete one that is gone.
func (m *Meter) Set(e *kube.PodEvent) { m.pods.set(e) }

// Delete forgets a pod.
func (m *Meter) Delete(name types.NamespacedName) { m.pods.remove(name) }

// Run reads servers until the term ends whose context ctx is, and writes what is left
// then, while the Lease is still held.
func (m *Meter) Run(ctx context.Context) error {
	m.keep(nil) // those of an earlier term are old
	if m.Interval <= 0 {
		return nil
	}
	tick := time.NewTicker(m.Interval)
	defer tick.Stop()
	for {
		m.round(ctx)
		m.write(ctx, time.Now(), false)
		select {
		case <-tick.C:
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), writeTimeout)
			defer cancel()
			m.write(last, time.Now(), true)
			return nil
		}
	}
}

// reading is what a server completed in a round.
type reading struct {
	server
	variant *profile.Variant
	window  window
}

// round reads every server once.
func (m *Meter) round(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, max(m.Interval, pageTimeout))
	defer cancel()
	there := map[types.UID]bool{}
	for inference, all := range m.pods.of() {
		of, ok := m.Profiles.Get(inference)
		if !ok || of.ServerMetrics == nil {
			continue
		}
		for _, s := range all {
			there[s.UID] = true
		}
		m.observe(of, m.read(ctx, of, all), time.Now())
	}
	m.keep(there)
}

// read reads the servers of one inference.
func (m *Meter) read(ctx context.Context, of *profile.Profile, all []server) []reading {
	var known map[types.NamespacedName]counters
	if m.Prometheus != nil {
		var err error
		if known, err = ask(ctx, m.Prometheus, of.ServerMetrics); err != nil {
			m.report(of.Name, err)
		}
	}
	var group errgroup.Group
	group.SetLimit(concurrency)
	var mu sync.Mutex
	var readings []reading
	for _, s := range all {
		v, ok := m.Serves(s.Pod, of)
		if !ok {
			m.reads.WithLabelValues(altered).Inc()
			continue
		}
		take := func(c counters) {
			if w, complete := m.add(s.UID, c); complete {
				mu.Lock()
				defer mu.Unlock()
				readings = append(readings, reading{s, v, w})
			}
		}
		if c, ok := known[types.NamespacedName{Namespace: s.Namespace, Name: s.Name}]; ok {
			m.reads.WithLabelValues(queried).Inc()
			take(c)
			continue
		}
		group.Go(func() error {
			c, err := scrape(ctx, m.client, s.address, of.ServerMetrics)
			if err != nil {
				m.reads.WithLabelValues(failed).Inc()
				m.report(of.Name, err)
				return nil
			}
			m.reads.WithLabelValues(scraped).Inc()
			take(c)
			return nil
		})
	}
	_ = group.Wait() // errors are reported as they come
	return readings
}

// observe adds to what is to be written, of each namespace, kind and load, the median
// of its servers: none of them counts for more because it is asked more often.
func (m *Meter) observe(of *profile.Profile, readings []reading, now time.Time) {
	type group struct {
		profile.ServedKey
		namespace string
	}
	times, hashes := map[group][]time.Duration{}, map[group]string{}
	for _, r := range readings {
		g := group{profile.ServedKey{Kind: r.variant.Kind, Load: r.window.class()}, r.Namespace}
		times[g], hashes[g] = append(times[g], r.window.each()), r.variant.ServedHash
	}
	for g, all := range times {
		slices.Sort(all)
		codes := m.Codes(of.Name, g.namespace)
		to := m.unwritten[of.Name]
		if to == nil {
			to = map[profile.ServedKey]profile.Runs{}
			m.unwritten[of.Name] = to
		}
		runs := to[g.ServedKey]
		if runs.By == nil || runs.Hash != hashes[g] {
			runs = profile.Runs{Hash: hashes[g], By: map[string]servicetime.Estimate{}, Formerly: map[string][]string{}}
		}
		runs.By[codes[0]] = runs.By[codes[0]].Observe(servicetime.ServedRun(all[(len(all)-1)/2]), now)
		runs.Formerly[codes[0]] = codes[1:]
		to[g.ServedKey] = runs
	}
}

// write writes what was read to the profiles: at once where little is known yet, else
// now and then.
func (m *Meter) write(ctx context.Context, now time.Time, all bool) {
	for name, more := range m.unwritten {
		of, ok := m.Profiles.Get(name)
		if !ok || of.ResetPending {
			delete(m.unwritten, name)
			continue
		}
		if !all && now.Sub(m.written[name]) < writeInterval && !isNew(of, more) {
			continue
		}
		limited, cancel := context.WithTimeout(ctx, writeTimeout)
		again, err := m.Write(limited, name, more)
		cancel()
		if err != nil {
			m.report(name, err)
		}
		if !again {
			delete(m.unwritten, name)
			m.written[name] = now
		}
	}
}

// isNew reports whether something was read that cannot be relied on yet.
func isNew(of *profile.Profile, more map[profile.ServedKey]profile.Runs) bool {
	for key := range more {
		if v := of.Variant(key.Kind); v != nil && !v.Served[key.Load].Reliable() {
			return true
		}
	}
	return false
}

// add takes a reading of a server.
func (m *Meter) add(uid types.UID, c counters) (window, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	h := m.histories[uid]
	if h == nil {
		h = &history{}
		m.histories[uid] = h
	}
	before := h.last.at
	w, complete := h.add(c)
	if h.last.at.After(before) {
		h.seen = time.Now()
	}
	return w, complete
}

// keep forgets the servers that are gone.
func (m *Meter) keep(there map[types.UID]bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for uid := range m.histories {
		if !there[uid] {
			delete(m.histories, uid)
		}
	}
}

// report logs what went wrong with an inference, if nothing of it was logged just now.
func (m *Meter) report(inference string, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	if now.Sub(m.logged[inference]) < logInterval {
		return
	}
	m.logged[inference] = now
	m.Log.Warn().Err(err).Str("inference", inference).Msg("how long inferences take on servers is not known")
}
