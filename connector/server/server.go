package server

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humachi"
	"github.com/go-chi/chi/v5/middleware"
	"github.com/rs/zerolog"

	"heteroaccel.io/connector/controller"
	"heteroaccel.io/connector/session"
	"heteroaccel.io/pkg/profile"
	"heteroaccel.io/pkg/serve"
)

// Sessions is what the API works on.
type Sessions interface {
	Create(ctx context.Context, s session.Session) (controller.View, error)
	Get(client, id string) (controller.View, error)
	List(client string) []controller.View
	Renew(client, id string) (controller.View, error)
	End(ctx context.Context, client, id string) error
	Changed(id string) <-chan struct{}
	Count(client string) int
}

// Config is what the API needs; every field is required.
type Config struct {
	Sessions Sessions
	Profiles *profile.Store
	// Client says who sent a request.
	Client func(*http.Request) (string, error)
	// Ready says why nothing can be served now.
	Ready func() error
	// Reach is how clients reach a server, where its profile does not say.
	Reach session.Reach
	// Gateway is that servers can be reached by a Gateway.
	Gateway bool
	Limits  Limits
	// Node is the node that this process serves clients of, for near: node; ""
	// where it serves no node in particular.
	Node    string
	Version string
	Log     zerolog.Logger
}

// Limits are what a client may do.
type Limits struct {
	// Sessions is how many a client may have at a time.
	Sessions int
	// Rate is how many requests a second each client may send on average, and
	// Burst how many at once.
	Rate  float64
	Burst int
	// MaxTTL is the longest time to live that may be asked for, and TTL what a
	// session has whose client does not say.
	MaxTTL, TTL time.Duration
}

const (
	// maxBody bounds a request's body, in bytes.
	maxBody = 16 << 10
	// maxWait bounds how long a request may ask to wait.
	maxWait = time.Minute
	// writeLimit bounds how long writing an answer takes after that.
	writeLimit = 30 * time.Second
)

type server struct {
	Config
	rates *rates
}

// New returns the API.
func New(c Config) http.Handler {
	s := &server{Config: c, rates: newRates(c.Limits)}
	r := serve.Router(c.Log)
	r.Use(middleware.RequestSize(maxBody))
	api := humachi.New(r, config(c.Version))
	s.register(api)
	describe(r, api.OpenAPI())
	r.Get("/", index)
	refuse(r)
	return r
}

// config is huma's, without what it would fetch from elsewhere or add to bodies.
func config(version string) huma.Config {
	c := huma.DefaultConfig("HeteroAccel connector", version)
	c.Info.Description = "A camera asks for an inference and gets the address of a running inference server."
	c.Transformers = append(c.Transformers, sayFirst)
	// It would render the document at the first request, without a lock: see describe.
	c.OpenAPIPath = ""
	c.DocsPath, c.SchemasPath, c.CreateHooks = "", "", nil
	c.Components.SecuritySchemes = map[string]*huma.SecurityScheme{"bearer": {Type: "http", Scheme: "bearer"}}
	return c
}

// clientKey is the context's key of the client's name.
type clientKey struct{}

// authenticate lets in known clients, at their rate.
func (s *server) authenticate(api huma.API) func(huma.Context, func(huma.Context)) {
	return func(ctx huma.Context, next func(huma.Context)) {
		r, w := humachi.Unwrap(ctx)
		client, err := s.Client(r)
		switch {
		case errors.Is(err, errUnknown):
			w.Header().Set("WWW-Authenticate", `Bearer realm="heteroaccel"`)
			writeProblem(api, ctx, http.StatusUnauthorized, err.Error())
			return
		case err != nil:
			s.Log.Warn().Err(err).Msg("cannot say who a client is")
			w.Header().Set("Retry-After", "1")
			writeProblem(api, ctx, http.StatusServiceUnavailable, "nobody can say now who you are: try again in a second")
			return
		}
		if wait := s.rates.take(client, time.Now()); wait > 0 {
			w.Header().Set("Retry-After", strconv.Itoa(int(wait/time.Second)+1))
			writeProblem(api, ctx, http.StatusTooManyRequests, "too many requests: "+strconv.FormatFloat(s.Limits.Rate, 'g', 3, 64)+" a second are allowed")
			return
		}
		if err := s.Ready(); err != nil {
			w.Header().Set("Retry-After", "1")
			writeProblem(api, ctx, http.StatusServiceUnavailable, "not ready: "+err.Error())
			return
		}
		next(huma.WithValue(ctx, clientKey{}, client))
	}
}

// patient has the server write an answer that waited for long, which it would not
// do past its own limit.
func patient(ctx huma.Context, next func(huma.Context)) {
	_, w := humachi.Unwrap(ctx)
	// It fails only where there is no limit either.
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(maxWait + writeLimit))
	next(ctx)
}

func writeProblem(api huma.API, ctx huma.Context, status int, detail string) {
	// It fails only when the client has gone.
	_ = huma.WriteErr(api, ctx, status, detail)
}

func clientOf(ctx context.Context) string {
	client, _ := ctx.Value(clientKey{}).(string)
	return client
}

// waitOf reads how long a client would wait, from a header like
// Prefer: wait=30 (RFC 7240), 0 for not at all. What else it prefers is ignored,
// as that RFC says.
func waitOf(prefer []string) time.Duration {
	for _, header := range prefer {
		for _, p := range strings.Split(header, ",") {
			p, _, _ = strings.Cut(p, ";")
			name, value, _ := strings.Cut(strings.TrimSpace(p), "=")
			if !strings.EqualFold(strings.TrimSpace(name), "wait") {
				continue
			}
			seconds, err := strconv.ParseUint(strings.Trim(strings.TrimSpace(value), `"`), 10, 32)
			if err != nil {
				continue
			}
			return min(time.Duration(seconds)*time.Second, maxWait)
		}
	}
	return 0
}
