package explain

import (
	"context"
	"net/http"

	"github.com/go-chi/chi/v5"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"heteroaccel.io/extender/bypass"
	"heteroaccel.io/extender/history"
	"heteroaccel.io/extender/live"
	"heteroaccel.io/pkg/inventory"
	"heteroaccel.io/pkg/journal"
	"heteroaccel.io/pkg/kube"
	"heteroaccel.io/pkg/profile"
	"heteroaccel.io/pkg/schedulerconfig"
)

// Config is what the pages show. All of it is needed.
type Config struct {
	Inventory *inventory.Inventory
	Profiles  *profile.Store
	// History is of kube-scheduler's calls for each pod.
	History *history.Store
	// Bypassed are the resources that a scheduler does not ask about.
	Bypassed func() []bypass.Report
	// Alone reports whether there is no other replica that kube-scheduler could ask.
	Alone func() bool
	// Decisions are what the webhook decided, as far as it is known here; Missing are
	// sentences on what is not.
	Decisions *journal.Journal
	Missing   func() []string
	// Conflict is why a node's telemetry is ignored, "" if it is not.
	Conflict func(node string) string
	// Suspended reports whether the recreation of pending pods is suspended.
	Suspended func() bool
	// NotRecreated are pods that the API server refuses to recreate.
	NotRecreated func() []kube.NotRecreated
	// Claims is set where the inventory has what is allocated to ResourceClaims.
	Claims bool
	// MayList reports whether the sender of a request may list a resource, in a
	// namespace or, if that is "", in the whole cluster.
	MayList func(r *http.Request, resource schema.GroupResource, namespace string) (bool, error)
	// VerbsAt is where kube-scheduler calls the verbs.
	VerbsAt schedulerconfig.Endpoint
}

// Endpoint is one row of the index.
type Endpoint struct {
	// Method and Path are as they are requested, with names in {braces}.
	Method string `json:"method"`
	Path   string `json:"path"`
	// Shows is what it is for, in a few words.
	Shows string `json:"shows"`
}

// Pages are all pages.
type Pages struct {
	Config
	board *live.Board
}

// New returns the pages that show what c has.
func New(c Config) *Pages {
	s := &Pages{Config: c}
	s.board = s.newBoard()
	return s
}

// Run keeps what the live page shows up to date until ctx ends. Then all streams end.
func (s *Pages) Run(ctx context.Context) error { return s.board.Run(ctx) }

// Where the live page gets what it shows.
const (
	livePath   = "/live"
	streamPath = "/live/stream"
)

// route is a page: where it is, what it shows, and how its view is found.
type route struct {
	path, shows string
	find        func(*http.Request, *viewer) (view, error)
}

func (s *Pages) routes() []route {
	return []route{
		{"/", "this list", s.index},
		{"/nodes", "the devices of all nodes: state, age of the telemetry, the pods that hold them", s.nodes},
		{"/nodes/{name}", "one node in full", s.node},
		{"/nodes/{name}/devices/{device}", "who had a device in the last hour", s.tenures},
		{"/pods", "the pods that HeteroAccel admitted, and why each got its kind", s.pods},
		{"/pods/{namespace}/{name}", "one pod: why this kind, and what it waits for", s.pod},
		{"/decisions", "what the webhook decided lately: who got what, who was denied, recreated or moved", s.decisions},
		{"/profiles", "inferences, the kinds they run on, and their service times", s.profileList},
		{"/profiles/{name}", "one inference", s.profile},
		{"/scheduler/config", "the entry for kube-scheduler's configuration, with every profile's resources", s.schedulerConfig},
	}
}

// Route adds the pages to a router.
func (s *Pages) Route(r chi.Router) {
	for _, p := range s.routes() {
		r.Get(p.path, s.show(p.find))
	}
	r.Get(livePath, s.now)
	r.Get(streamPath, s.stream)
}

func (s *Pages) endpoints() []Endpoint {
	var all []Endpoint
	for _, p := range s.routes() {
		all = append(all, Endpoint{http.MethodGet, p.path, p.shows})
	}
	return append(all,
		Endpoint{http.MethodGet, "/ui", "the live page, for a browser"},
		Endpoint{http.MethodGet, livePath, "what the live page shows, as JSON"},
		Endpoint{http.MethodGet, streamPath, "the same as it changes, a line of JSON each"})
}
