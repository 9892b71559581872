package access

import (
	"context"
	"net"
	"net/http"
	"net/netip"

	"github.com/rs/zerolog"
	authenticationv1 "k8s.io/api/authentication/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes"

	"heteroaccel.io/pkg/reviews"
)

// mayList is what the sender of a request may list: a resource, in a namespace or, if
// that is "", in the whole cluster.
type mayList func(resource schema.GroupResource, namespace string) (bool, error)

type key struct{}

// MayList reports whether the sender of a request that came through Local or Require
// may list a resource, in a namespace or, if that is "", in the whole cluster.
func MayList(r *http.Request, resource schema.GroupResource, namespace string) (bool, error) {
	may, ok := r.Context().Value(key{}).(mayList)
	if !ok {
		return false, nil
	}
	return may(resource, namespace)
}

func with(r *http.Request, may mayList) *http.Request {
	return r.WithContext(context.WithValue(r.Context(), key{}, may))
}

// Local shows everything to everybody. It serves a loopback address only, and answers
// only requests for one: a web page in somebody's browser could else have its own
// name point there, and read the answers.
func Local(next http.Handler) http.Handler {
	everything := func(schema.GroupResource, string) (bool, error) { return true, nil }
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !Loopback(r.Host) {
			http.Error(w, "here only requests for localhost, or for a loopback address such as 127.0.0.1, are answered, not those for another host: forward the port to your own machine with kubectl port-forward", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, with(r, everything))
	})
}

// Loopback reports whether a host, or an address to listen on, with or without a
// port, is this machine's, or this pod's, own. A name but localhost may be any's.
func Loopback(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	if host == "localhost" {
		return true
	}
	if len(host) > 2 && host[0] == '[' && host[len(host)-1] == ']' {
		host = host[1 : len(host)-1]
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

// Reviews asks the API server.
type Reviews struct {
	tokens *reviews.Tokens
	access *reviews.Access
	log    zerolog.Logger
}

// New returns one that has asked nothing yet.
func New(client kubernetes.Interface, log zerolog.Logger) *Reviews {
	return &Reviews{reviews.NewTokens(client), reviews.NewAccess(client), log}
}

// Require answers requests with a token that the API server knows, and 401 to others.
func (a *Reviews) Require(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, err := a.user(r)
		switch {
		case err != nil:
			a.log.Warn().Err(err).Msg("nobody is let in to the pages")
			http.Error(w, "nobody can be let in, since the API server did not say whose the token is: the extender's log says why", http.StatusServiceUnavailable)
		case user == nil:
			w.Header().Set("WWW-Authenticate", `Bearer realm="heteroaccel"`)
			http.Error(w, "send a header Authorization: Bearer TOKEN with a token that the API server knows, such as one of kubectl create token", http.StatusUnauthorized)
		default:
			next.ServeHTTP(w, with(r, func(resource schema.GroupResource, namespace string) (bool, error) {
				may, err := a.access.MayList(r.Context(), user, resource, namespace)
				if err != nil {
					a.log.Warn().Err(err).Msg("a page is not shown")
				}
				return may, err
			}))
		}
	})
}

func (a *Reviews) user(r *http.Request) (*authenticationv1.UserInfo, error) {
	token, ok := reviews.Bearer(r)
	if !ok {
		return nil, nil
	}
	return a.tokens.User(r.Context(), token)
}
