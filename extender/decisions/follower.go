package decisions

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/rs/zerolog"
	"k8s.io/apimachinery/pkg/util/wait"

	"heteroaccel.io/pkg/journal"
)

const (
	// kept is how many entries are kept, of all replicas.
	kept = 4000
	// look is how often the addresses are looked at.
	look = time.Second
	// patience is how long an answer may take, which a replica holds for 10 s.
	patience = 20 * time.Second
	// breath is between two requests of which the first brought nothing: a replica that is
	// ending, or has too many readers, holds none.
	breath = 200 * time.Millisecond
	// maxAnswer bounds an answer, in bytes: a Part is a fourth of it at most.
	maxAnswer = 16 << 20
)

// Config is what a Follower needs, all of it.
type Config struct {
	// Addresses are where the replicas of the webhook are now, host:port.
	Addresses func() []string
	// TLS has the replicas know us, and us them.
	TLS *tls.Config
	Log zerolog.Logger
}

// Follower reads the journals of the webhook's replicas. Use New.
type Follower struct {
	Config
	client  *http.Client
	journal *journal.Journal

	mu sync.Mutex
	// replicas are those that are followed, by address.
	replicas map[string]*replica
}

type replica struct {
	stop context.CancelFunc
	err  error // why it could not be read the last time
}

// New returns a follower; Run follows.
func New(c Config) *Follower {
	c.Log = c.Log.Sample(&zerolog.BurstSampler{Burst: 5, Period: time.Minute})
	return &Follower{
		Config: c, journal: journal.New(kept), replicas: map[string]*replica{},
		client: &http.Client{
			Timeout: patience,
			Transport: &http.Transport{
				TLSClientConfig: c.TLS, DialContext: (&net.Dialer{Timeout: 2 * time.Second}).DialContext,
				TLSHandshakeTimeout: 2 * time.Second, IdleConnTimeout: time.Minute, MaxIdleConnsPerHost: 1,
			},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
}

// Journal has what was read.
func (f *Follower) Journal() *journal.Journal { return f.journal }

// Failures are sentences on the replicas that cannot be read now, and on that there is
// none.
func (f *Follower) Failures() (failures []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, address := range slices.Sorted(maps.Keys(f.replicas)) {
		if err := f.replicas[address].err; err != nil {
			failures = append(failures, fmt.Sprintf("what the webhook at %s decides is not shown: %v", address, err))
		}
	}
	if len(f.replicas) == 0 {
		failures = append(failures, "what the webhook decides is not shown: no replica of it is known, see --webhook-addresses")
	}
	return failures
}

// Run follows the replicas until ctx ends.
func (f *Follower) Run(ctx context.Context) error {
	var following sync.WaitGroup
	defer following.Wait()
	wait.UntilWithContext(ctx, func(ctx context.Context) {
		for _, start := range f.update(ctx) {
			following.Go(start)
		}
	}, look)
	return nil
}

// update ends following the replicas that are gone, and returns what follows the new
// ones.
func (f *Follower) update(ctx context.Context) (starts []func()) {
	now := f.Addresses()
	f.mu.Lock()
	defer f.mu.Unlock()
	for address, r := range f.replicas {
		if !slices.Contains(now, address) {
			r.stop()
			delete(f.replicas, address)
		}
	}
	for _, address := range now {
		if f.replicas[address] != nil {
			continue
		}
		ctx, stop := context.WithCancel(ctx)
		r := &replica{stop: stop}
		f.replicas[address] = r
		starts = append(starts, func() { f.follow(ctx, address, r) })
	}
	return starts
}

// follow reads the journal of one replica until ctx ends.
func (f *Follower) follow(ctx context.Context, address string, r *replica) {
	var id string
	var after uint64
	backoff := wait.Backoff{Duration: 200 * time.Millisecond, Factor: 2, Jitter: .2, Steps: 6, Cap: 5 * time.Second}
	pause := backoff
	for ctx.Err() == nil {
		part, err := f.read(ctx, address, id, after)
		if ctx.Err() != nil {
			return
		}
		f.mu.Lock()
		r.err = err
		f.mu.Unlock()
		if err != nil {
			f.Log.Warn().Err(err).Str("address", address).Msg("read what the webhook decides")
			select {
			case <-time.After(pause.Step()):
			case <-ctx.Done():
			}
			continue
		}
		pause = backoff
		if part.Journal != id {
			id, after = part.Journal, 0
		}
		for _, e := range part.Entries {
			after = e.Seq
			f.journal.Add(e)
		}
		if len(part.Entries) == 0 {
			select {
			case <-time.After(breath):
			case <-ctx.Done():
			}
		}
	}
}

func (f *Follower) read(ctx context.Context, address, id string, after uint64) (part journal.Part, err error) {
	query := url.Values{"journal": {id}, "after": {strconv.FormatUint(after, 10)}}
	at := url.URL{Scheme: "https", Host: address, Path: journal.Path, RawQuery: query.Encode()}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at.String(), nil)
	if err != nil {
		return part, fmt.Errorf("address %q: %w", address, err)
	}
	resp, err := f.client.Do(req)
	if err != nil {
		return part, errors.Unwrap(err) // without the URL, which is long and says nothing
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	switch {
	case err != nil:
		return part, fmt.Errorf("read its answer: %w", err)
	case resp.StatusCode != http.StatusOK:
		return part, fmt.Errorf("it answers %s: %.200s", resp.Status, body)
	}
	if err := json.Unmarshal(body, &part); err != nil {
		return part, fmt.Errorf("read its answer: %w", err)
	}
	return part, nil
}
