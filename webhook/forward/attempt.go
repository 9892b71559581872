package forward

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"heteroaccel.io/pkg/serve"
)

// maxAnswer is the largest answer that is taken, in bytes: a patch holds little more
// than what it changes.
const maxAnswer = 8 << 20

// newClient is for reviews alone, and keeps one connection to the leader.
func newClient(config *tls.Config) *http.Client {
	return &http.Client{
		Transport: &http.Transport{
			DialContext:       (&net.Dialer{Timeout: time.Second, KeepAlive: 5 * time.Second}).DialContext,
			TLSClientConfig:   config,
			ForceAttemptHTTP2: true,
			// A leader whose machine vanished, or was paused, must not keep its
			// connection for the reviews to come.
			HTTP2:               &http.HTTP2Config{SendPingTimeout: time.Second, PingTimeout: time.Second},
			TLSHandshakeTimeout: time.Second,
			IdleConnTimeout:     time.Minute,
			MaxIdleConnsPerHost: 8,
		},
		// A replica redirects nobody.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// answer is a leader's.
type answer struct {
	status int
	body   []byte
}

func (a answer) write(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(a.status)
	_, _ = w.Write(a.body) // an error means that the API server is gone
}

var errMoved = errors.New("another replica leads by now")

// attempt asks a leader. The error is why it has to be asked again, or another: there
// is no answer, or it does not lead. It gives up when another replica leads, or this one.
func (f *Forwarder) attempt(ctx context.Context, leader string, of *http.Request, body []byte, begun, changed <-chan struct{}) (answer, error) {
	left := maxTimeout
	if end, ok := ctx.Deadline(); ok {
		left = time.Until(end)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, share(left), fmt.Errorf("no answer within %s", share(left).Round(time.Millisecond)))
	defer cancel()
	ctx, move := context.WithCancelCause(ctx)
	defer move(nil)
	go func() {
		select {
		case <-begun:
			move(errMoved)
		case <-changed:
			move(errMoved)
		case <-ctx.Done():
		}
	}()
	a, err := f.post(ctx, leader, of, body)
	if cause := context.Cause(ctx); err != nil && cause != nil {
		err = cause
	}
	return a, err
}

func (f *Forwarder) post(ctx context.Context, leader string, of *http.Request, body []byte) (answer, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://"+leader+Path, bytes.NewReader(body))
	if err != nil {
		return answer{}, fmt.Errorf("address %q of the leader: %w", leader, err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set(connectionHeader, f.process+" "+serve.ConnectionOf(of))
	if f.Authenticated {
		r.Header.Set(authenticatedHeader, yes)
	}
	resp, err := f.client.Do(r)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	switch {
	case err != nil:
		return answer{}, fmt.Errorf("read the leader's answer: %w", err)
	case len(got) > maxAnswer:
		// It would be as large the next time.
		return answer{http.StatusBadGateway, fmt.Appendf(nil, `{"error":"the leader's answer is larger than %d bytes"}`, maxAnswer)}, nil
	case !final(resp.StatusCode):
		return answer{}, fmt.Errorf("the leader answers %s: %s", resp.Status, strings.TrimSpace(string(got[:min(len(got), 300)])))
	}
	return answer{resp.StatusCode, got}, nil
}

// final reports whether a status is an answer to the review, and not to the one who
// forwards it: a replica that does not lead, takes no more now, does not know us yet or
// is of a version that takes nothing from others.
func final(status int) bool {
	switch status {
	case http.StatusOK, http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusInternalServerError:
		return true
	}
	return false
}
