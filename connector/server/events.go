package server

import (
	"context"
	"encoding/json"
	"net/http"
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
	describeEvents(api.OpenAPI().Paths[op.Path].Get.Responses["200"].Content["text/event-stream"])
}

// describeEvents describes one event of the stream: OpenAPI 3.1 has no word for a
// stream of them, and 3.2 describes an event this way.
func describeEvents(stream *huma.MediaType) {
	event := func(name, schema string) *huma.Schema {
		return &huma.Schema{
			Type: huma.TypeObject, Required: []string{"event", "data"},
			Properties: map[string]*huma.Schema{
				"event": {Type: huma.TypeString, Enum: []any{name}},
				"data": {Type: huma.TypeString, Extensions: map[string]any{
					"contentMediaType": "application/json",
					"contentSchema":    map[string]any{"$ref": "#/components/schemas/" + schema},
				}},
			},
		}
	}
	stream.Schema = &huma.Schema{
		Description: "One event: the session at each change, and then that it has ended.",
		OneOf:       []*huma.Schema{event("session", "Session"), event("ended", "Ended")},
	}
}

// exists refuses a request for a session that is not there: a stream that has
// begun can no more.
func (s *server) exists(api huma.API) func(huma.Context, func(huma.Context)) {
	return func(ctx huma.Context, next func(huma.Context)) {
		if _, err := s.Sessions.Get(clientOf(ctx.Context()), ctx.Param("id")); err != nil {
			writeProblem(api, ctx, http.StatusNotFound, err.Error())
			return
		}
		next(ctx)
	}
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
