package server

import (
	"context"
	"encoding/json"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/sse"
)

// Ended is the last event of a session's stream.
type Ended struct {
	ID string `json:"id" doc:"The session that has ended."`
}

// keepAlive is how often a stream says something at least, so that proxies and
// clients do not give up on it.
const keepAlive = 15 * time.Second

// registerEvents registers the stream of a session: the session as it is, and
// again with every change.
func (s *server) registerEvents(api huma.API, op huma.Operation) {
	sse.Register(api, op, map[string]any{"session": Session{}, "ended": Ended{}}, func(ctx context.Context, in *sessionInput, send sse.Sender) {
		s.stream(ctx, clientOf(ctx), in.ID, send)
	})
}

func (s *server) stream(ctx context.Context, client, id string, send sse.Sender) {
	ticker := time.NewTicker(keepAlive)
	defer ticker.Stop()
	last := ""
	for {
		changed := s.Sessions.Changed(id)
		view, err := s.Sessions.Get(client, id)
		if err != nil {
			_ = send.Data(Ended{ID: id}) // it fails only when the client has gone
			return
		}
		body := sessionOf(view)
		compared := body
		compared.Expires = time.Time{} // a renewal is no news to who renews
		if now, err := json.Marshal(compared); err == nil && string(now) != last {
			last = string(now)
			if send.Data(body) != nil {
				return
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-changed:
		case <-ticker.C:
			last = "" // say it again
		}
	}
}
