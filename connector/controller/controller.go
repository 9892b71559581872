package controller

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/events"

	"heteroaccel.io/connector/session"
	"heteroaccel.io/pkg/profile"
)

// Config is what a Controller needs; every field is required but where it says
// otherwise.
type Config struct {
	Client kubernetes.Interface
	// Namespace is where sessions and servers are, and nothing else of ours.
	Namespace string
	// Identity is this replica's name, which its renewals are written under.
	Identity string
	Profiles *profile.Store
	Reach    session.Reach
	// Gateway is nil where no server is reached by one.
	Gateway *Gateway
	// Defaults are for profiles that say nothing.
	Defaults session.Limits
	Recorder events.EventRecorder
	Registry prometheus.Registerer
	Log      zerolog.Logger
}

// Controller keeps sessions and servers. New makes one, Run runs it, and Lead has it
// carry out plans.
type Controller struct {
	Config
	metrics *metrics
	wake    chan struct{}
	flush   chan struct{}
	// writes are those of the term that are under way.
	writes  sync.WaitGroup
	writing chan struct{}
	feeds   feeds

	mu sync.Mutex
	// term is the context of the term in which this replica carries out plans, nil
	// when there is none.
	term context.Context
	// rebuilding is set while a term begins: then what the API server has replaces
	// what the table was told of writes that have not become true.
	rebuilding bool
	table      *session.Table
	// unwritten has how many writes of a session's server are under way. Its
	// client is not told before: another leader might choose another server.
	unwritten map[string]int
	// dirty are the pools to plan for.
	dirty map[session.Pool]struct{}
	// due is when to plan for a pool again although nothing changed.
	due map[session.Pool]time.Time
	// changed has a channel for each session that somebody watches, closed at
	// its next change.
	changed map[string]chan struct{}
	// untold are the pools whose watchers have yet to be told of a change.
	untold map[session.Pool]bool
	// failures are the pools for which no server could be created.
	failures map[session.Pool]failure
	renewals renewals
	// swept is when the renewals of other replicas were looked through.
	swept time.Time
	// lengths are how long sessions of a pool were served.
	lengths map[session.Pool]time.Duration
}

// failure is why no server of a pool could be created, and when to try again.
type failure struct {
	err   error
	tries int
	until time.Time
}

const (
	// writers bounds the writes to the API server at a time.
	writers = 32
	// callLimit bounds one call of the API server.
	callLimit = 10 * time.Second
	// firstPause is how long to wait after a server could not be created,
	// doubling up to longestPause.
	firstPause, longestPause = 500 * time.Millisecond, 15 * time.Second
	// takeover is how long no session expires after this replica began to lead:
	// the leader before it may have taken renewals that it could not write.
	takeover = 10 * time.Second
	// sweepPause is how often the renewals of replicas that are gone are deleted.
	sweepPause = 5 * time.Minute
	// tick is the safety net under the changes that wake the loop.
	tick = 5 * time.Second
)

// New returns a controller.
func New(c Config) *Controller {
	k := &Controller{
		Config: c, wake: make(chan struct{}, 1), flush: make(chan struct{}, 1), writing: make(chan struct{}, writers),
		table: session.NewTable(), unwritten: map[string]int{}, untold: map[session.Pool]bool{}, dirty: map[session.Pool]struct{}{}, due: map[session.Pool]time.Time{}, changed: map[string]chan struct{}{},
		failures: map[session.Pool]failure{}, renewals: newRenewals(), lengths: map[session.Pool]time.Duration{},
	}
	k.feeds = newFeeds(k)
	k.metrics = newMetrics(c.Registry, k)
	return k
}

// Synced says what of the API server has not been seen yet.
func (k *Controller) Synced() error {
	return errors.Join(k.feeds.leases.Synced(), k.feeds.pods.Synced(), k.feeds.services.Synced(), k.feeds.nodes.Synced(), k.feeds.gatewaySynced())
}

// Run watches, and writes renewals, until ctx ends.
func (k *Controller) Run(ctx context.Context) error {
	go func() { _ = k.feeds.leases.Run(ctx) }()
	go func() { _ = k.feeds.pods.Run(ctx) }()
	go func() { _ = k.feeds.services.Run(ctx) }()
	go func() { _ = k.feeds.nodes.Run(ctx) }()
	if k.Gateway != nil {
		go func() { _ = k.feeds.routes.Run(ctx) }()
		go func() { _ = k.feeds.gateway.Run(ctx) }()
	}
	k.flushOften(ctx)
	return nil
}

// note is called with every change: the pool is planned for, and who watches one
// of its sessions is told. The caller holds the lock.
func (k *Controller) note(p session.Pool, ids ...string) {
	k.dirty[p] = struct{}{}
	for _, id := range ids {
		k.tell(id)
	}
	signal(k.wake)
}

// tell closes the channel of whoever watches a session.
func (k *Controller) tell(id string) {
	if ch := k.changed[id]; ch != nil {
		close(ch)
		delete(k.changed, id)
	}
}

// gather is how long changes of a pool are gathered before everybody who watches
// one of its sessions is told: in a burst each session changes the position of all
// behind it.
const gather = 100 * time.Millisecond

// tellAll soon tells everybody who watches a session that waits in a pool or is
// served by it: their position, or their server, may have changed. The caller
// holds the lock.
func (k *Controller) tellAll(p session.Pool) {
	if len(k.untold) == 0 {
		time.AfterFunc(gather, k.tellUntold)
	}
	k.untold[p] = true
}

func (k *Controller) tellUntold() {
	k.mu.Lock()
	defer k.mu.Unlock()
	for id := range k.changed {
		if s := k.table.Session(id); s == nil || k.untold[s.Pool] {
			k.tell(id)
		}
	}
	clear(k.untold)
}

func signal(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}

// limits are what the profile of a pool says, or the defaults.
func (k *Controller) limits(p session.Pool) session.Limits {
	l := k.Defaults
	known, ok := k.Profiles.Get(p.Inference)
	if l.Unknown = !ok; ok {
		if known.SessionsPerPod > 0 {
			l.PerServer = known.SessionsPerPod
		}
		if known.IdleTimeout > 0 {
			l.Idle = known.IdleTimeout
		}
	}
	return l
}
