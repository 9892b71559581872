package leader

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// TestTermEndsOnTheWay: a write that has passed the fence, and waits for a connection
// when its term ends, is not carried out, though nothing cancels it.
func TestTermEndsOnTheWay(t *testing.T) {
	for name, http2 := range map[string]bool{"HTTP/1": false, "HTTP/2": true} {
		for when, late := range map[string]bool{"held": false, "over": true} {
			t.Run(name+"/"+when, func(t *testing.T) {
				var carriedOut atomic.Int32
				server := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
					if _, err := io.ReadAll(r.Body); err == nil {
						carriedOut.Add(1)
					}
				}))
				server.EnableHTTP2 = http2
				server.StartTLS()
				t.Cleanup(server.Close)
				transport := server.Client().Transport.(*http.Transport)
				dialing, connect := make(chan struct{}), make(chan struct{})
				transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
					close(dialing)
					<-connect
					return new(net.Dialer).DialContext(ctx, network, address)
				}
				c, term := held(t)
				r, err := http.NewRequestWithContext(context.WithoutCancel(term), http.MethodPost, server.URL, strings.NewReader("x"))
				if err != nil {
					t.Fatal(err)
				}
				failed := make(chan error, 1)
				go func() {
					resp, err := (&http.Client{Transport: Fence(transport)}).Do(r)
					if err == nil {
						_ = resp.Body.Close() // it has none
					}
					failed <- err
				}()
				<-dialing
				if late {
					c.pass(4*time.Second, 4*time.Second)
				}
				close(connect)
				if err := <-failed; late != isOver(err) || late == (err == nil) {
					t.Errorf("error %v", err)
				}
				server.Close() // once what has begun there has ended
				if n := carriedOut.Load(); late != (n == 0) {
					t.Errorf("carried out %d times", n)
				}
			})
		}
	}
}

// TestRepeatedOnTheWay: what the transport sends once more, as when the connection broke,
// is looked at once more.
func TestRepeatedOnTheWay(t *testing.T) {
	c, term := held(t)
	r, err := http.NewRequestWithContext(term, http.MethodPost, "http://x", strings.NewReader("x"))
	if err != nil {
		t.Fatal(err)
	}
	before := r.Body
	read := func(b io.ReadCloser) error { _, err := io.ReadAll(b); return err }
	_, err = Fence(roundTripper(func(sent *http.Request) (*http.Response, error) {
		if err := read(sent.Body); err != nil {
			t.Errorf("while it is held: %v", err)
		}
		c.pass(4*time.Second, 4*time.Second)
		again, err := sent.GetBody()
		if err != nil {
			return nil, err
		}
		return nil, read(again)
	})).RoundTrip(r)
	if !isOver(err) {
		t.Errorf("error %v", err)
	}
	if r.Body != before {
		t.Error("the caller's request was changed")
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// held is the context of a term that lasts for 4 s of a clock that the test sets.
func held(t *testing.T) (*hands, context.Context) {
	t.Helper()
	c := newHands()
	h := newHold(c.read, 4*time.Second)
	if err := h.renewed(c.read()); err != nil {
		t.Fatal(err)
	}
	return c, context.WithValue(t.Context(), holdKey{}, h)
}
