package leader

import (
	"context"
	"fmt"
	"net/http"
)

// holdKey is the key of a term's hold in its context.
type holdKey struct{}

// Check says why the term that a context belongs to is over, nil while it is not, or
// when the context belongs to none. A context that outlives the term's, as that of
// context.WithoutCancel does, still belongs to it.
func Check(ctx context.Context) error {
	if h, ok := ctx.Value(holdKey{}).(*hold); ok {
		return h.check()
	}
	return nil
}

// Fence sends no request whose context belongs to a term that is over. It reads the
// clock for each: a process that was suspended begins none when it goes on, not even
// before it notices that its context has ended. What had passed here when it was
// suspended, and was not yet on the wire, it still sends.
func Fence(next http.RoundTripper) http.RoundTripper { return fence{next} }

type fence struct{ next http.RoundTripper }

// RoundTrip is http.RoundTripper's.
func (f fence) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := Check(r.Context()); err != nil {
		if r.Body != nil {
			_ = r.Body.Close() // a RoundTripper has to, and nothing was read of it
		}
		return nil, fmt.Errorf("not sent, as this replica does not lead any more: %w", err)
	}
	return f.next.RoundTrip(r)
}

// WrappedRoundTripper is what client-go looks for under a wrapper.
func (f fence) WrappedRoundTripper() http.RoundTripper { return f.next }
