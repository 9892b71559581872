package playback

import (
	"context"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"heteroaccel.io/connector/camera/client"
	"heteroaccel.io/connector/camera/frame"
)

// Camera is one camera. All of its fields are required but where it says otherwise.
type Camera struct {
	Connector *client.Client
	Ask       client.Request
	// Reel is what it shows, nil for a camera that only has a session.
	Reel *frame.Reel
	// Every is the time from one frame to the next.
	Every time.Duration
	// Limit bounds the inference of one frame.
	Limit time.Duration
	// Model is the model's name on the server.
	Model string
	HTTP  *http.Client
	Tally *Tally
	Log   zerolog.Logger

	current atomic.Pointer[server] // nil while no server is known
}

// Run runs it until ctx ends. It fails when the connector refuses its request, or
// the model can be shown no frames.
func (c *Camera) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		defer c.become(nil)
		watched := watch{camera: c, began: time.Now()}
		return c.Connector.Hold(ctx, c.Ask, watched.tell)
	})
	if c.Reel != nil {
		group.Go(func() error { return c.play(ctx) })
	}
	return group.Wait()
}

// become takes another server, and gives up what is under way with the last.
func (c *Camera) become(s *server) {
	if old := c.current.Swap(s); old != nil {
		old.leave()
	}
}

// watch compares what the connector tells of the session.
type watch struct {
	camera *Camera
	last   client.Session
	// began is since when it has waited for a server, zero while it has one.
	began time.Time
}

// tell is called with each view of the session.
func (w *watch) tell(s client.Session) {
	c, last := w.camera, w.last
	w.last = s
	log := c.Log.Info().Str("session", s.ID).Str("inference", c.Ask.Inference)
	switch {
	case s.ID == "":
		c.Tally.ended()
		c.Log.Warn().Str("session", last.ID).Msg("the session has ended: asking for another")
	case s.ID == last.ID && s.Moves > last.Moves:
		c.Tally.moved(s.Moves - last.Moves)
	case s.ID != last.ID:
		c.Tally.opened()
	}
	switch {
	case s.URL == last.URL && s.ID == last.ID:
		if s.URL == "" && s.Position != last.Position {
			log.Int("position", s.Position).Int("waiting", s.Waiting).Str("reason", s.Reason).Msg("waits")
		}
	case s.URL == "":
		c.become(nil)
		if w.began.IsZero() {
			w.began = time.Now()
		}
		if s.ID != "" {
			log.Int("position", s.Position).Int("waiting", s.Waiting).Str("reason", s.Reason).Msg("waits")
		}
	default:
		c.become(newServer(c, s))
		if !w.began.IsZero() {
			c.Tally.waited(time.Since(w.began))
			w.began = time.Time{}
		}
		log.Str("address", s.Address).Str("kind", s.Kind).Str("node", s.Node).Int("moves", s.Moves).Str("reason", s.Reason).Msg("has a server")
	}
}

// play shows frames at the camera's pace until ctx ends. A camera does not wait:
// what comes while the last frame is still being inferred is lost.
func (c *Camera) play(ctx context.Context) error {
	failed := make(chan error, 1)
	var showing sync.WaitGroup
	defer showing.Wait()
	free := make(chan struct{}, 1)
	free <- struct{}{}
	// Cameras that are started together do not all show at the same moment.
	first := time.NewTimer(rand.N(c.Every))
	defer first.Stop()
	select {
	case <-ctx.Done():
		return nil
	case <-first.C:
	}
	tick := time.NewTicker(c.Every)
	defer tick.Stop()
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			return nil
		case err := <-failed:
			return err
		case <-tick.C:
		}
		if ctx.Err() != nil {
			return nil // it was this that freed the frame under way
		}
		s := c.current.Load()
		if s == nil {
			c.Tally.lost(Waiting)
			continue
		}
		select {
		case <-free:
		default:
			c.Tally.lost(Busy)
			continue
		}
		showing.Go(func() {
			defer func() { free <- struct{}{} }()
			if err := s.show(ctx, n); err != nil {
				select {
				case failed <- err:
				default:
				}
			}
		})
	}
}
