package serve

import (
	"net/http"
	"runtime/debug"
	"strings"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"
	"github.com/rs/zerolog"
)

// Router returns a chi router with what every program needs around its routes: a
// panic fails one request and is logged with its stack, and unknown paths and
// methods are answered with a sentence.
func Router(log zerolog.Logger) *chi.Mux {
	r := chi.NewRouter()
	r.Use(Recover(log), middleware.GetHead)
	r.NotFound(func(w http.ResponseWriter, r *http.Request) {
		Error(w, http.StatusNotFound, "there is nothing at %s", r.URL.Path)
	})
	r.MethodNotAllowed(methodNotAllowed(r))
	return r
}

// methodNotAllowed answers with the methods that are allowed.
func methodNotAllowed(routes chi.Routes) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		list := strings.Join(Allowed(routes, r.URL.Path), ", ")
		w.Header().Set("Allow", list)
		Error(w, http.StatusMethodNotAllowed, "%s is not possible at %s: use %s", r.Method, r.URL.Path, list)
	}
}

// Allowed are the methods that there is a route for at a path, of a Router.
func Allowed(routes chi.Routes, path string) (methods []string) {
	for _, m := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete} {
		if !routes.Match(chi.NewRouteContext(), m, path) {
			continue
		}
		methods = append(methods, m)
		if m == http.MethodGet {
			methods = append(methods, http.MethodHead) // see middleware.GetHead
		}
	}
	return methods
}

// Recover turns a panic into a 500, and logs it with its stack.
func Recover(log zerolog.Logger) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			defer func() {
				switch p := recover(); p {
				case nil:
				case http.ErrAbortHandler:
					panic(p) // how a handler asks net/http to drop the connection
				default:
					log.Error().Interface("panic", p).Bytes("stack", debug.Stack()).
						Str("method", r.Method).Str("path", r.URL.Path).Msg("panic in a request")
					Error(w, http.StatusInternalServerError, "this request failed because of a bug: the log has the details")
				}
			}()
			next.ServeHTTP(w, r)
		})
	}
}

// Probe answers a health probe: 200 "ok", or 503 and what is missing.
func Probe(check func() error) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		if err := check(); err != nil {
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = w.Write([]byte(err.Error() + "\n"))
			return
		}
		_, _ = w.Write([]byte("ok\n"))
	}
}
