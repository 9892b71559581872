package serve

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"sync/atomic"
)

// connectionKey is that of a connection's name in its requests' contexts.
type connectionKey struct{}

// connections counts those that were accepted.
var connections atomic.Uint64

// nameConnection names a connection in the context of its requests.
func nameConnection(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, connectionKey{}, fmt.Sprintf("%s #%d", c.RemoteAddr(), connections.Add(1)))
}

// ConnectionOf names the connection that a request came over. Under Run no later
// connection has the same name, whatever its address.
func ConnectionOf(r *http.Request) string {
	if name, ok := r.Context().Value(connectionKey{}).(string); ok {
		return name
	}
	return r.RemoteAddr
}
