package playback

import (
	"context"
	"fmt"
	"time"

	"heteroaccel.io/connector/camera/client"
	"heteroaccel.io/connector/camera/oip"
)

// server is the inference server at one address. One frame at a time is shown to
// it.
type server struct {
	camera *Camera
	oip    oip.Client
	kind   string
	// ctx ends when the session is given another server.
	ctx   context.Context
	leave context.CancelFunc

	// known is set once input and binary are.
	known  bool
	input  oip.Tensor
	binary bool
}

func newServer(c *Camera, s client.Session) *server {
	v := &server{camera: c, oip: oip.Client{URL: s.URL, HTTP: c.HTTP}, kind: s.Kind}
	v.ctx, v.leave = context.WithCancel(context.Background())
	return v
}

// show infers on the nth frame and counts it. It fails only when no frame could
// ever be shown.
func (s *server) show(ctx context.Context, n int) error {
	stopped := ctx
	ctx, cancel := context.WithTimeout(ctx, s.camera.Limit)
	defer cancel()
	defer context.AfterFunc(s.ctx, cancel)()
	if err := s.learn(ctx); err != nil {
		s.lose(stopped, err, func() {})
		return nil
	}
	data, shape, err := s.camera.Reel.Tensor(n, s.input.Shape, s.input.Datatype)
	if err != nil {
		return fmt.Errorf("model %s, input %s: %w", s.camera.Model, s.input.Name, err)
	}
	in := oip.Value{Name: s.input.Name, Datatype: s.input.Datatype, Shape: shape, Data: data}
	s.camera.Tally.sent()
	began := time.Now()
	if _, err := s.oip.Infer(ctx, s.camera.Model, in, s.binary); err != nil {
		s.lose(stopped, err, s.camera.Tally.cut)
		return nil
	}
	s.camera.Tally.answered(s.kind, time.Since(began))
	return nil
}

// learn reads what the model takes, once.
func (s *server) learn(ctx context.Context) error {
	if s.known {
		return nil
	}
	model, err := s.oip.Model(ctx, s.camera.Model)
	if err != nil {
		return err
	}
	if s.binary, err = s.oip.Binary(ctx); err != nil {
		return err
	}
	s.input, s.known = model.Inputs[0], true
	return nil
}

// lose counts a frame that was not inferred on, with cut when that is because the
// camera has stopped, by whose context it is known.
func (s *server) lose(camera context.Context, err error, cut func()) {
	if camera.Err() != nil {
		cut()
		return
	}
	s.camera.Tally.lost(Failed)
	s.camera.Log.Warn().Err(err).Str("server", s.oip.URL).Msg("a frame is lost")
}
