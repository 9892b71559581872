package leader

import (
	"context"
	"fmt"
	"io"
	"net/http"
)

// holdKey is the key of a term's hold in its context.
type holdKey struct{}

// holdOf is the hold of the term that a context belongs to, nil when it belongs to none.
func holdOf(ctx context.Context) *hold {
	h, _ := ctx.Value(holdKey{}).(*hold)
	return h
}

// Check says why the term that a context belongs to is over, nil while it is not, or
// when the context belongs to none. A context that outlives the term's, as that of
// context.WithoutCancel does, still belongs to it.
func Check(ctx context.Context) error {
	if h := holdOf(ctx); h != nil {
		return h.check()
	}
	return nil
}

// Fence sends no request whose context belongs to a term that is over. It reads the
// clock for each: a process that was suspended begins none when it goes on, not even
// before it notices that its context has ended. A request with a body, as every write
// has, is looked at again when the body is about to be sent: it may have waited for a
// connection meanwhile, or be repeated on another one by the transport. Without the end
// of its body the API server carries no write out. What had passed that when the process
// was suspended, and was not yet on the wire, it still sends.
func Fence(next http.RoundTripper) http.RoundTripper { return fence{next} }

type fence struct{ next http.RoundTripper }

// RoundTrip is http.RoundTripper's.
func (f fence) RoundTrip(r *http.Request) (*http.Response, error) {
	h := holdOf(r.Context())
	if h == nil {
		return f.next.RoundTrip(r)
	}
	if err := h.check(); err != nil {
		if r.Body != nil {
			_ = r.Body.Close() // a RoundTripper has to, and nothing was read of it
		}
		return nil, notSent(err)
	}
	if r.Body != nil && r.Body != http.NoBody {
		r = r.WithContext(r.Context()) // the caller's own stays as it is
		r.Body = fencedBody{r.Body, h}
		if again := r.GetBody; again != nil {
			r.GetBody = func() (io.ReadCloser, error) {
				b, err := again()
				if err != nil {
					return nil, err
				}
				return fencedBody{b, h}, nil
			}
		}
	}
	return f.next.RoundTrip(r)
}

func notSent(why error) error {
	return fmt.Errorf("not sent, as this replica does not lead any more: %w", why)
}

// WrappedRoundTripper is what client-go looks for under a wrapper.
func (f fence) WrappedRoundTripper() http.RoundTripper { return f.next }

// fencedBody is that of a request in a term: it cannot be read to its end once the term is
// over.
type fencedBody struct {
	io.ReadCloser
	hold *hold
}

// Read is io.Reader's.
func (b fencedBody) Read(p []byte) (int, error) {
	if err := b.hold.check(); err != nil {
		return 0, notSent(err)
	}
	return b.ReadCloser.Read(p)
}
