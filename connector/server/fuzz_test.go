package server

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"
	"github.com/rs/zerolog"

	"heteroaccel.io/connector/server/servertest"
	"heteroaccel.io/connector/session"
	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/profile"
)

// FuzzRequest sends bodies of any content to ask for a session, and holds the
// answer: one of those described, with a problem of bounded size that says what is
// wrong, or a session that can be kept in a Lease and that the webhook would take.
func FuzzRequest(f *testing.F) {
	kept := servertest.New()
	api := New(Config{
		Sessions: kept, Profiles: profiles(f), Client: byHeader, Ready: func() error { return nil }, Allowed: func(*profile.Profile) error { return nil },
		Reach: session.ReachPodIP, Node: "edge-1",
		Limits:  Limits{Sessions: 3, Rate: 1e9, Burst: 1e9, TTL: time.Minute, MaxTTL: time.Hour},
		Version: "test", Log: zerolog.Nop(),
	})
	for _, body := range []string{
		``, `{}`, `null`, faceRequest, `{"inference":"no-template"}`, `{"inference":"broken","near":"node"}`,
		`{"inference":"face-recognition","accelerator":"cpu, GPU","ttl":"90s","labels":{"a.b/c":"d"},"near":"node","priority":-7}`,
		`{"inference":"face-recognition","accelerator":"fpga","ttl":"0s","labels":{"":"!"},"priority":1001,"other":[{}]}`,
		`{"Inference":"face-recognition","accelerator":null,"ttl":null,"labels":null,"near":null,"priority":null}`,
	} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		kept.Forget()
		r := httptest.NewRequest(http.MethodPost, "/v1/sessions", bytes.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("X-Client", "camera")
		w := httptest.NewRecorder()
		api.ServeHTTP(w, r)
		if w.Body.Len() > 64<<10 {
			t.Errorf("an answer of %d bytes for a body of %d", w.Body.Len(), len(body))
		}
		switch w.Code {
		case http.StatusAccepted:
			holdSession(t, kept, w.Body.Bytes())
		case http.StatusBadRequest, http.StatusNotFound, http.StatusConflict, http.StatusRequestEntityTooLarge, http.StatusUnprocessableEntity:
			var p huma.ErrorModel
			if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil || p.Status != w.Code || p.Detail == "" || !utf8.Valid(w.Body.Bytes()) {
				t.Errorf("status %d, %v: %s", w.Code, err, w.Body)
			}
			if kept.Len() > 0 {
				t.Errorf("status %d, and there is a session: %s", w.Code, w.Body)
			}
		default:
			t.Errorf("status %d: %s", w.Code, w.Body)
		}
	})
}

// holdSession checks that the session of an answer can be used.
func holdSession(t *testing.T, kept *servertest.Sessions, answer []byte) {
	t.Helper()
	var s Session
	if err := json.Unmarshal(answer, &s); err != nil {
		t.Fatalf("%v: %s", err, answer)
	}
	v, err := kept.Get("camera", s.ID)
	if err != nil {
		t.Fatalf("session %q: %v", s.ID, err)
	}
	if v.Session.TTL < time.Second || v.Session.TTL > time.Hour || v.Session.Priority < -1000 || v.Session.Priority > 1000 || len(labelProblems(v.Session.Labels)) > 0 {
		t.Errorf("accepted: %+v", v.Session)
	}
	annotations := map[string]string{accel.InferenceAnnotation: v.Session.Pool.Inference, accel.AcceleratorAnnotation: v.Session.Pool.Accelerator}
	if _, _, err := accel.ParseRequest(annotations); err != nil {
		t.Errorf("the webhook would refuse it: %v", err)
	}
	lease, err := session.Lease(&v.Session, "sessions")
	if err != nil {
		t.Fatal(err)
	}
	back, err := session.OfLease(lease)
	if err != nil || back.Pool != v.Session.Pool || back.TTL != v.Session.TTL || back.Priority != v.Session.Priority || len(back.Labels) != len(v.Session.Labels) {
		t.Errorf("kept as %+v, %v; want %+v", back, err, v.Session)
	}
}
