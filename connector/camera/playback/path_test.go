package playback

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"

	"heteroaccel.io/connector/camera/cameratest"
	"heteroaccel.io/pkg/serve/servetest"
)

// TestBasePath: frames are shown to a server that is a path of its address, as
// behind a Gateway, and nothing beside that path is asked for.
func TestBasePath(t *testing.T) {
	s := cameratest.NewServer(t, true, "UINT8", 1, 2, 2, 3)
	to, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	const path = "/sessions/face-x"
	mux := http.NewServeMux()
	mux.Handle(path+"/", http.StripPrefix(path, httputil.NewSingleHostReverseProxy(to)))
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		t.Errorf("asked for %s", r.URL.Path)
		http.NotFound(w, r)
	})
	gateway := httptest.NewServer(mux)
	defer gateway.Close()

	door := cameratest.NewConnector(t)
	stop := start(t, aCamera(t, door))
	door.Serve(strings.TrimPrefix(gateway.URL, "http://") + path)
	servetest.Eventually(t, "frames are inferred", func() bool { n, _ := s.Inferred(); return n >= 3 })
	if r := stop(); r.Frames.Lost[Failed] != 0 {
		t.Errorf("%+v", r.Frames)
	}
}
