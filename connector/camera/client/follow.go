package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/tmaxmax/go-sse"
)

// silence is how long a stream may say nothing: the connector repeats the
// session every 15 seconds.
const silence = 45 * time.Second

// errSilent is that a stream said nothing for too long.
var errSilent = fmt.Errorf("the event stream said nothing for %s", silence)

// follow reads the session's events, from stream after stream, until the session
// is over or ctx is.
func (c *Client) follow(ctx context.Context, id string, over func(error) bool, tell func(Session)) error {
	for {
		backoff := pauses()
		told := false
		for !told {
			err := c.stream(ctx, id, func(s Session) {
				told = true
				tell(s)
			})
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			if over(err) {
				return err
			}
			if err := c.pause(ctx, &backoff, err); err != nil {
				return err
			}
		}
	}
}

// stream reads one stream to its end, which is always an error.
func (c *Client) stream(ctx context.Context, id string, tell func(Session)) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watchdog := time.AfterFunc(silence, func() { cancel(errSilent) })
	defer watchdog.Stop()
	r, err := c.request(ctx, http.MethodGet, "/v1/sessions/"+url.PathEscape(id)+"/events", nil)
	if err != nil {
		return err
	}
	r.Header.Set("Accept", "text/event-stream")
	resp, err := c.HTTP.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	switch {
	case resp.StatusCode == http.StatusNotFound:
		return ErrEnded
	case resp.StatusCode != http.StatusOK:
		return problem(resp)
	}
	for event, err := range sse.Read(resp.Body, nil) {
		if err != nil {
			return errors.Join(context.Cause(ctx), fmt.Errorf("read the event stream: %w", err))
		}
		watchdog.Reset(silence)
		switch event.Type {
		case "session":
			var s Session
			if err := json.Unmarshal([]byte(event.Data), &s); err != nil {
				return fmt.Errorf("read an event: %w", err)
			}
			tell(s)
		case "ended":
			return ErrEnded
		}
	}
	return fmt.Errorf("the event stream closed: %w", io.EOF)
}
