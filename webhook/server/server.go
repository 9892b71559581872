package server

import (
	"net/http"
	"reflect"

	"github.com/bytedance/sonic"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	"k8s.io/apimachinery/pkg/types"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/admission"
	"heteroaccel.io/pkg/inventory"
	"heteroaccel.io/pkg/journal"
	"heteroaccel.io/pkg/namespaces"
	"heteroaccel.io/pkg/policy"
	"heteroaccel.io/pkg/profile"
	"heteroaccel.io/pkg/record"
	"heteroaccel.io/pkg/serve"
	"heteroaccel.io/webhook/forward"
	"heteroaccel.io/webhook/learning"
	"heteroaccel.io/webhook/refusals"
	"heteroaccel.io/webhook/replacement"
)

// Config is what a Server needs; every field is required that does not say
// otherwise.
type Config struct {
	Inventory *inventory.Inventory
	Profiles  *profile.Store
	Policy    policy.Policy
	// Rules are those of the namespaces; nil when none are known.
	Rules *admission.Store
	// Namespaces say which inferences they may use; nil for all.
	Namespaces *namespaces.Store
	// Schedulers, OtherSchedulers and SetScheduler are as in variant.Source; no
	// Schedulers means any, and no SetScheduler none.
	Schedulers      []string
	OtherSchedulers bool
	SetScheduler    string
	// Binding and HasClass are as in variant.Source.
	Binding  profile.Binding
	HasClass func(class string) bool
	// Replaces returns what is expected of a pod that replaces one recreated for
	// another kind, given the reservation it would have, "" in a dry run, and how far
	// the caller is trusted; nil when no pods are recreated.
	Replaces func(namespace string, owner types.UID, name, reservation string, trust inventory.Trust) (replacement.Expected, bool)
	// HeldByOthers returns the kinds that servers of other revisions of a Deployment hold,
	// each with the name of one, given the ReplicaSet of a new one; nil where servers are
	// not moved to what such leave.
	HeldByOthers func(namespace, set string) map[accel.Kind]string
	// Refusals is which kinds the API server or kube-scheduler turned down.
	Refusals *refusals.Memory
	// Choices announces what a person should notice; nil for nobody.
	Choices *Choices
	// Decided takes what was decided about a pod that is not a dry run's; nil for nobody.
	Decided func(journal.Entry)
	// Journal serves what was decided, to whom it may be served; nil for nobody.
	Journal http.Handler
	// Keys authenticate the records of what was replaced, as they are now; never nil.
	Keys func() *record.Keys
	// Authenticated is set when reviews are taken from the API server alone.
	Authenticated bool
	// Clients answers all requests for /mutate that are not the API server's; nil when
	// nobody else reaches Handler, or they are taken from whoever sends them.
	Clients func(http.Handler) http.Handler
	// Peers answers all requests that no other replica has sent; nil when there is none.
	Peers func(http.Handler) http.Handler
	// Elsewhere answers a review while another replica decides, as Answer of a
	// forward.Forwarder does; nil when there is none.
	Elsewhere func(w http.ResponseWriter, r *http.Request, body []byte, decide func() (begun <-chan struct{}))
	Registry  prometheus.Registerer
	Log       zerolog.Logger
}

// Server answers admission reviews, in a term: see Begin.
type Server struct {
	Config
	metrics  *metrics
	trials   *learning.Trials
	deciding deciding
}

// New returns a server; Handler is what it serves.
func New(c Config) (*Server, error) {
	if c.Keys == nil || c.Keys() == nil {
		return nil, errKeys
	}
	// Compile the decoder now rather than during the first review.
	if err := sonic.Pretouch(reflect.TypeFor[review]()); err != nil {
		return nil, err
	}
	if c.Replaces == nil {
		c.Replaces = func(string, types.UID, string, string, inventory.Trust) (replacement.Expected, bool) {
			return replacement.Expected{}, false
		}
	}
	return &Server{
		Config: c, metrics: newMetrics(c.Registry, c.Inventory, c.Profiles), trials: learning.NewTrials(),
		deciding: deciding{next: make(chan struct{})},
	}, nil
}

// elsewhere answers a review that may have to be decided by another replica.
type elsewhere = func(w http.ResponseWriter, r *http.Request, body []byte, decide func() (begun <-chan struct{}))

// Handler routes POST /mutate, and what other replicas forward.
func (s *Server) Handler() http.Handler {
	r := serve.Router(s.Log)
	reviews, answer := http.Handler(nil), s.Elsewhere
	if answer == nil {
		answer = s.standBy
	}
	if reviews = s.handle(answer); s.Clients != nil {
		reviews = s.Clients(reviews)
	}
	r.Method(http.MethodPost, "/mutate", reviews)
	if s.Journal != nil {
		r.Method(http.MethodGet, journal.Path, s.Journal)
	}
	if s.Peers != nil {
		r.Method(http.MethodPost, forward.Path, forward.Accept(s.Peers, s.handle(s.fromPeer)))
	}
	return r
}
