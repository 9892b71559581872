package server

import (
	"fmt"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"heteroaccel.io/pkg/inventory"
	"heteroaccel.io/pkg/kube"
	"heteroaccel.io/pkg/profile"
	"heteroaccel.io/pkg/serve"
)

// Config is what the server reads and reports to. All of it is needed but
// Registerer and FollowPods.
type Config struct {
	Inventory *inventory.Inventory
	Profiles  *profile.Store
	// Ready says what is missing before requests should come here, or nil.
	Ready func() error
	// FollowPods has set and remove called with every pod once the inventory
	// has it, one at a time, as kube.Feeds does; nil for never: then no pod
	// that was bound unasked is noticed.
	FollowPods func(set func(*corev1.Pod), remove func(types.NamespacedName))
	// Suspended reports whether somebody has stopped the recreation of pods that
	// wait; nil for never.
	Suspended func() bool
	// Unwanted are the pods that could not be recreated; nil for none.
	Unwanted func() []kube.NotRecreated
	// ManagedOnly leaves pods alone that HeteroAccel did not admit.
	ManagedOnly bool
	// Registerer takes the server's metrics; nil leaves them unregistered.
	Registerer prometheus.Registerer
	// Metrics serves /metrics.
	Metrics http.Handler
	Log     zerolog.Logger
}

type server struct {
	inventory   *inventory.Inventory
	profiles    *profile.Store
	memory      *memory
	follower    *follower
	suspended   func() bool
	unwanted    func() []kube.NotRecreated
	managedOnly bool
	metrics     *metrics
	log         zerolog.Logger
}

// endpoint is one line of what there is.
type endpoint struct {
	// Method and Path are as they are requested, with names in {braces}.
	Method string `json:"method"`
	Path   string `json:"path"`
	// Shows is what it is for, in a few words.
	Shows string `json:"shows"`
}

var endpoints = []endpoint{
	{"GET", "/", "this list"},
	{"GET", "/nodes", "the devices of all nodes: state, holders, age of the sample"},
	{"GET", "/nodes/{name}", "one node in full"},
	{"GET", "/pods", "the pods that were given an accelerator, and why"},
	{"GET", "/pods/{namespace}/{name}", "one pod: why this kind, and what it waits for"},
	{"GET", "/profiles", "inferences, the kinds they run on, and how long that takes"},
	{"GET", "/profiles/{name}", "one inference"},
	{"GET", "/healthz", "whether the process serves"},
	{"GET", "/readyz", "whether it knows the cluster yet, and what is missing"},
	{"GET", "/metrics", "metrics for Prometheus"},
	{"GET", "/scheduler/config", "what kube-scheduler's configuration needs, with every profile's resources"},
	{"POST", "/scheduler/filter", "for kube-scheduler: which nodes have a usable device"},
	{"POST", "/scheduler/prioritize", "for kube-scheduler: which of them are best"},
	{"POST", "/scheduler/preempt", "for kube-scheduler: where evicting pods would help"},
}

// New returns the handler of everything the extender serves.
func New(c Config) (http.Handler, error) {
	if err := pretouch(); err != nil {
		return nil, fmt.Errorf("prepare the decoder of scheduler requests: %w", err)
	}
	memory, err := newMemory(c.Inventory.Now())
	if err != nil {
		return nil, fmt.Errorf("make room for verdicts: %w", err)
	}
	metrics := newMetrics(c.Registerer, c.Inventory)
	s := &server{
		inventory:   c.Inventory,
		profiles:    c.Profiles,
		memory:      memory,
		managedOnly: c.ManagedOnly,
		metrics:     metrics,
		log:         c.Log,
		suspended:   c.Suspended,
		unwanted:    c.Unwanted,
		follower: &follower{
			inventory: c.Inventory, profiles: c.Profiles, memory: memory, ready: c.Ready, counter: metrics.unasked, log: c.Log,
			uids: map[types.NamespacedName]types.UID{}, known: map[types.UID]struct{}{}, awaited: map[types.NamespacedName]types.UID{},
			unasked: map[string]*unasked{}, asked: map[string]time.Time{},
		},
	}
	if s.suspended == nil {
		s.suspended = func() bool { return false }
	}
	if s.unwanted == nil {
		s.unwanted = func() []kube.NotRecreated { return nil }
	}
	if c.FollowPods != nil {
		c.FollowPods(s.follower.set, s.follower.remove)
	}
	r := serve.Router(c.Log)
	r.NotFound(notFound)
	r.Post("/scheduler/filter", s.filter)
	r.Post("/scheduler/prioritize", s.prioritize)
	r.Post("/scheduler/preempt", s.preempt)
	r.Get("/scheduler/config", show(s.schedulerConfig))
	r.Get("/", show(s.index))
	r.Get("/nodes", show(s.nodes))
	r.Get("/nodes/{name}", show(s.node))
	r.Get("/pods", show(s.pods))
	r.Get("/pods/{namespace}/{name}", show(s.pod))
	r.Get("/profiles", show(s.profileList))
	r.Get("/profiles/{name}", show(s.profile))
	r.Get("/healthz", serve.Probe(func() error { return nil }))
	r.Get("/readyz", serve.Probe(c.Ready))
	r.Method(http.MethodGet, "/metrics", c.Metrics)
	return r, nil
}

// notFound answers a path that does not exist with those that do.
func notFound(w http.ResponseWriter, r *http.Request) {
	fail(w, r, http.StatusNotFound, fmt.Sprintf("there is nothing at %s: here is what there is", r.URL.Path), &index{Endpoints: endpoints})
}
