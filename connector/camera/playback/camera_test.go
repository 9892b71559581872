package playback

import (
	"context"
	"image"
	"image/color"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"heteroaccel.io/connector/camera/cameratest"
	"heteroaccel.io/connector/camera/client"
	"heteroaccel.io/connector/camera/frame"
	"heteroaccel.io/pkg/serve/servetest"
)

// grey is a frame of one value.
func grey(value uint8) image.Image {
	img := image.NewGray(image.Rect(0, 0, 4, 4))
	for i := range img.Pix {
		img.Pix[i] = color.Gray{Y: value}.Y
	}
	return img
}

// aCamera shows a grey frame a hundred times a second.
func aCamera(t *testing.T, door *cameratest.Connector) *Camera {
	t.Helper()
	connector, err := client.New(client.Config{URL: door.URL, Token: func() (string, error) { return cameratest.Token, nil }})
	if err != nil {
		t.Fatal(err)
	}
	return &Camera{
		Connector: connector, Ask: client.Request{Inference: cameratest.Inference},
		Reel:  frame.NewReel([]image.Image{grey(100)}, frame.Pixels{Scale: .5}),
		Every: 10 * time.Millisecond, Limit: 5 * time.Second, Model: cameratest.Inference,
		HTTP: http.DefaultClient, Tally: NewTally(), Log: zerolog.Nop(),
	}
}

// start runs a camera until stop is called.
func start(t *testing.T, c *Camera) (stop func() Report) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	return func() Report {
		t.Helper()
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		return c.Tally.Report(1)
	}
}

// TestCamera: frames are lost while there is no server, are shown to the one that
// there is, and to the next when the session moves.
func TestCamera(t *testing.T) {
	door := cameratest.NewConnector(t)
	c := aCamera(t, door)
	stop := start(t, c)
	lost := func(why Loss) int64 { return c.Tally.Report(1).Frames.Lost[why] }
	servetest.Eventually(t, "frames are lost while it waits", func() bool { return lost(Waiting) >= 3 })
	for i, s := range []*cameratest.Server{
		cameratest.NewServer(t, true, "FP32", 1, 3, 2, 2),
		cameratest.NewServer(t, false, "UINT8", 1, 2, 2, 3),
	} {
		door.Serve(s.Address)
		servetest.Eventually(t, "frames are inferred on, and answered", func() bool {
			n, _ := s.Inferred()
			return n >= 3 && c.Tally.Report(1).Frames.Answered >= int64(3*(i+1))
		})
		defer s.Close()
	}
	r := stop()
	if r.Moves != 1 || r.Sessions != 1 || r.Ended != 0 || r.Waits.Count != 1 || r.Waits.P50 <= 0 {
		t.Errorf("%+v", r)
	}
	f := r.Frames
	if f.Answered < 6 || f.Sent < f.Answered+f.Cut || f.Sent > f.Answered+f.Cut+f.Lost[Failed] || r.Latency.Count != f.Answered || r.Latency.P50 <= 0 || r.Latency.P99 < r.Latency.P50 || r.Kinds["GPU"] != r.Latency {
		t.Errorf("%+v", r)
	}
	if _, _, ended := door.Calls(); ended != 1 || door.Sessions() != 0 {
		t.Errorf("%d sessions ended, %d are left", ended, door.Sessions())
	}
}

// TestValues: the server gets what the frame shows.
func TestValues(t *testing.T) {
	door := cameratest.NewConnector(t)
	s := cameratest.NewServer(t, true, "FP32", 1, 3, -1, -1)
	door.Serve(s.Address)
	stop := start(t, aCamera(t, door))
	servetest.Eventually(t, "a frame is inferred on", func() bool { n, _ := s.Inferred(); return n > 0 })
	stop()
	if _, mean := s.Inferred(); mean != 50 {
		t.Errorf("the mean is %v, want half of 100", mean)
	}
}

// TestBusy: frames that come while one is being inferred are lost, and the one
// under way is when the session moves.
func TestBusy(t *testing.T) {
	door := cameratest.NewConnector(t)
	slow, fast := cameratest.NewServer(t, true, "UINT8", 1, 3, 2, 2), cameratest.NewServer(t, true, "UINT8", 1, 3, 2, 2)
	release := slow.Hold()
	defer release()
	door.Serve(slow.Address)
	c := aCamera(t, door)
	stop := start(t, c)
	servetest.Eventually(t, "frames are lost while one is under way", func() bool { return c.Tally.Report(1).Frames.Lost[Busy] >= 3 })
	door.Serve(fast.Address)
	servetest.Eventually(t, "the next server infers", func() bool { n, _ := fast.Inferred(); return n > 0 })
	if r := stop(); r.Frames.Lost[Failed] != 1 || r.Moves != 1 {
		t.Errorf("%+v, want the frame that was under way lost", r)
	}
}

// TestCut: a frame that is under way when the time is over is not lost.
func TestCut(t *testing.T) {
	door := cameratest.NewConnector(t)
	s := cameratest.NewServer(t, true, "UINT8", 1, 3, 2, 2)
	release := s.Hold()
	defer release()
	door.Serve(s.Address)
	c := aCamera(t, door)
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	if err := c.Run(ctx); err != nil {
		t.Error(err)
	}
	if f := c.Tally.Report(1).Frames; f.Sent != 1 || f.Cut != 1 || f.Lost[Failed] != 0 {
		t.Errorf("%+v, want the one frame cut", f)
	}
}

// TestServerAway: frames are lost while the server does not answer, and the camera
// goes on.
func TestServerAway(t *testing.T) {
	door := cameratest.NewConnector(t)
	gone, s := cameratest.NewServer(t, true, "UINT8", 1, 3, 2, 2), cameratest.NewServer(t, true, "UINT8", 1, 3, 2, 2)
	gone.Close()
	door.Serve(gone.Address)
	c := aCamera(t, door)
	stop := start(t, c)
	servetest.Eventually(t, "frames are lost", func() bool { return c.Tally.Report(1).Frames.Lost[Failed] >= 3 })
	door.Serve(s.Address)
	servetest.Eventually(t, "the next server infers", func() bool { n, _ := s.Inferred(); return n > 0 })
	if r := stop(); r.Frames.Sent < r.Frames.Answered {
		t.Errorf("%+v", r)
	}
}

// TestNoPicture: a model that no frame can be shown to ends the camera with the
// reason.
func TestNoPicture(t *testing.T) {
	door := cameratest.NewConnector(t)
	door.Serve(cameratest.NewServer(t, true, "FP32", 1, 1000).Address)
	if err := aCamera(t, door).Run(t.Context()); err == nil || !strings.Contains(err.Error(), "model face-recognition, input picture: shape [1 1000] is no picture's") {
		t.Errorf("error %v", err)
	}
	if door.Sessions() != 0 {
		t.Error("its session is left")
	}
}

// TestOnlySessions: a camera without frames has a session and nothing else.
func TestOnlySessions(t *testing.T) {
	door := cameratest.NewConnector(t)
	c := aCamera(t, door)
	c.Reel = nil
	stop := start(t, c)
	door.Serve("192.0.2.1:8080") // nobody is there
	servetest.Eventually(t, "it has a server", func() bool { return c.Tally.Report(1).Waits.Count == 1 })
	if r := stop(); r.Sessions != 1 || r.Frames.Sent+r.Frames.Lost[Waiting]+r.Frames.Lost[Failed] != 0 {
		t.Errorf("%+v", r)
	}
}
