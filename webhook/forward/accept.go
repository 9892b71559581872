package forward

import (
	"context"
	"net/http"
)

// Path is where a replica takes reviews from the others.
const Path = "/forwarded"

// What the replica that forwards a review says of where it has it from.
const (
	connectionHeader    = "Heteroaccel-Connection"
	authenticatedHeader = "Heteroaccel-Authenticated"
	yes                 = "yes"
)

// Origin is whom a forwarded review is from.
type Origin struct {
	// Connection names the connection that it reached the first replica over, among
	// those of all replicas.
	Connection string
	// Authenticated is set where that replica takes reviews from the API server alone.
	Authenticated bool
}

// originKey is that of an Origin in a request's context.
type originKey struct{}

// OriginOf is whom a review is from that another replica forwarded; ok is false for
// every other request.
func OriginOf(r *http.Request) (o Origin, ok bool) {
	o, ok = r.Context().Value(originKey{}).(Origin)
	return o, ok
}

// Accept serves what another replica forwards, and nobody else: peers answers all
// others. next must not forward.
func Accept(peers func(http.Handler) http.Handler, next http.Handler) http.Handler {
	return peers(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		o := Origin{Connection: r.Header.Get(connectionHeader), Authenticated: r.Header.Get(authenticatedHeader) == yes}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), originKey{}, o)))
	}))
}
