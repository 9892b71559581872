package forward

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	"golang.org/x/sync/semaphore"

	"heteroaccel.io/pkg/serve"
)

const (
	// maxHeld bounds the reviews that wait for their answer at a time.
	maxHeld = 1024
	// maxHeldBytes bounds them together, in bytes.
	maxHeldBytes = 32 << 20
)

// Config is what a Forwarder needs, all of it but Authenticated.
type Config struct {
	// Leader is where the replica is reached that leads, host:port; "" while none does,
	// this one does or it is unknown. changed is closed once another leads, or none.
	Leader func() (address string, changed <-chan struct{})
	// TLS knows the other replicas, and shows them who this is.
	TLS *tls.Config
	// Authenticated is set where reviews are taken from the API server alone.
	Authenticated bool
	Registry      prometheus.Registerer
	Log           zerolog.Logger
}

// Forwarder has reviews answered by the replica that leads. Use New.
type Forwarder struct {
	Config
	client  *http.Client
	process string // its name, among those of all replicas
	count   *semaphore.Weighted
	bytes   *semaphore.Weighted
	metrics *metrics
}

// New returns a Forwarder that holds nothing yet.
func New(c Config) *Forwarder {
	c.Log = c.Log.Sample(&zerolog.BurstSampler{Burst: 10, Period: time.Minute})
	return &Forwarder{
		Config: c, client: newClient(c.TLS), process: rand.Text(),
		count: semaphore.NewWeighted(maxHeld), bytes: semaphore.NewWeighted(maxHeldBytes),
		metrics: newMetrics(c.Registry),
	}
}

// Answer has a review answered, or answers 503 when nobody leads within the time that
// the API server waits. body is the request's, and is not kept.
//
// decide answers it here, if this replica leads by now, and returns nil; else it has
// written nothing, and returns what is closed once this replica begins to lead.
func (f *Forwarder) Answer(w http.ResponseWriter, r *http.Request, body []byte, decide func() (begun <-chan struct{})) {
	start := time.Now()
	release, ok := f.reserve(int64(len(body)))
	if !ok {
		f.metrics.observe(outcomeDropped, start)
		unavailable(w, "too many reviews wait for the replica that leads: try again in a second")
		return
	}
	defer release()
	ctx, cancel := context.WithTimeout(r.Context(), window(r.URL.Query().Get("timeout")))
	defer cancel()
	body = bytes.Clone(body) // a request that was given up may still be read
	why := errors.New("none is known")
	for failures := 0; ; {
		begun := decide()
		if begun == nil {
			f.metrics.observe(outcomeHere, start)
			return
		}
		leader, changed := f.Leader()
		var again <-chan time.Time
		if leader != "" {
			a, err := f.attempt(ctx, leader, r, body, begun, changed)
			if err == nil {
				f.metrics.observe(outcomeForwarded, start)
				a.write(w)
				return
			}
			if ctx.Err() == nil {
				f.metrics.failures.Inc()
				f.Log.Warn().Err(err).Str("leader", leader).Msg("forward a review")
				why = err
			}
			again = time.After(pause(failures))
			failures++
		}
		select {
		case <-begun:
		case <-changed:
			failures = 0
		case <-again:
		case <-ctx.Done():
			if r.Context().Err() != nil {
				f.metrics.observe(outcomeAbandoned, start)
				return
			}
			f.metrics.observe(outcomeTimedOut, start)
			unavailable(w, "no replica of the webhook that leads answered in time: "+why.Error()+"; try again in a moment")
			return
		}
	}
}

// reserve counts a review among those that are held, unless they are too many.
func (f *Forwarder) reserve(size int64) (release func(), ok bool) {
	if !f.count.TryAcquire(1) {
		return nil, false
	}
	if !f.bytes.TryAcquire(size) {
		f.count.Release(1)
		return nil, false
	}
	f.metrics.held.Inc()
	return func() {
		f.metrics.held.Dec()
		f.bytes.Release(size)
		f.count.Release(1)
	}, true
}

// unavailable has the API server try again: it does so itself while it has time.
func unavailable(w http.ResponseWriter, why string) {
	w.Header().Set("Retry-After", "1")
	serve.Error(w, http.StatusServiceUnavailable, "%s", why)
}
