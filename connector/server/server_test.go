package server

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"heteroaccel.io/connector/identity"
	"heteroaccel.io/connector/server/servertest"
	"heteroaccel.io/connector/session"
	"heteroaccel.io/pkg/profile"
	"heteroaccel.io/pkg/profile/v1alpha1"
)

// byHeader takes a header for the client's name.
func byHeader(r *http.Request) (string, error) {
	switch c := r.Header.Get("X-Client"); c {
	case "":
		return "", identity.ErrUnknown
	case "unsure":
		return "", errors.New("the API server does not answer")
	default:
		return c, nil
	}
}

func profiles(t testing.TB) *profile.Store {
	t.Helper()
	store := profile.NewStore()
	for name, template := range map[string]string{
		"face-recognition": `{"spec":{"containers":[{"name":"inference","image":"x","ports":[{"containerPort":8080}]}]}}`,
		"no-port":          `{"spec":{"containers":[{"name":"inference","image":"x"}]}}`,
		"no-template":      "",
	} {
		in := &v1alpha1.InferenceProfile{ObjectMeta: metav1.ObjectMeta{Name: name}}
		in.Spec.Variants = []v1alpha1.Variant{
			{Accelerator: "GPU", Image: "x:gpu", Limits: corev1.ResourceList{"gpu.intel.com/i915": resource.MustParse("1")}},
			{Accelerator: "CPU", Image: "x:cpu", Limits: corev1.ResourceList{"cpu": resource.MustParse("2")}},
		}
		if template != "" {
			in.Spec.Template = &runtime.RawExtension{Raw: []byte(template)}
		}
		p, err := profile.New(in)
		if err != nil {
			t.Fatal(err)
		}
		store.Set(p)
	}
	store.SetInvalid("broken", errors.New("it has no variants"))
	return store
}

// served is the address of the server that sessions are given.
const served = "10.0.0.7:8080"

// door is the API over sessions in memory.
func door(t *testing.T, change ...func(*Config)) (*servertest.Sessions, *httptest.Server) {
	t.Helper()
	k := servertest.New()
	c := Config{
		Sessions: k, Profiles: profiles(t), Client: byHeader, Ready: func() error { return nil }, Allowed: func(*profile.Profile) error { return nil },
		Limits:  Limits{Sessions: 3, Rate: 1000, Burst: 1000, TTL: time.Minute, MaxTTL: time.Hour},
		Version: "test", Log: zerolog.Nop(),
	}
	for _, f := range change {
		f(&c)
	}
	s := httptest.NewServer(New(c))
	t.Cleanup(s.Close)
	return k, s
}

// answer is what came back.
type answered struct {
	*http.Response
	text    string
	session Session
	problem struct {
		Status int
		Detail string
		Errors []struct{ Message, Location string }
	}
}

func ask(t *testing.T, s *httptest.Server, method, path, client, body string, header ...string) answered {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, s.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if client != "" {
		r.Header.Set("X-Client", client)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	resp, err := s.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var b strings.Builder
	if _, err := fmt.Fprint(&b, readAll(t, resp)); err != nil {
		t.Fatal(err)
	}
	a := answered{Response: resp, text: b.String()}
	switch resp.Header.Get("Content-Type") {
	case "application/json":
		err = json.Unmarshal([]byte(a.text), &a.session)
	case "application/problem+json":
		err = json.Unmarshal([]byte(a.text), &a.problem)
	}
	if err != nil {
		t.Fatalf("%s %s: %v: %s", method, path, err, a.text)
	}
	return a
}

const faceRequest = `{"inference": "face-recognition"}`

func TestCreate(t *testing.T) {
	k, s := door(t)
	a := ask(t, s, "POST", "/v1/sessions", "camera", faceRequest)
	if a.StatusCode != http.StatusAccepted || a.Header.Get("Retry-After") != "3" || a.session.State != "waiting" || a.session.Position != 1 || *a.session.ExpectedWait != 3 {
		t.Errorf("%d, Retry-After %q: %s", a.StatusCode, a.Header.Get("Retry-After"), a.text)
	}
	where := a.Header.Get("Location")
	if where != "/v1/sessions/"+a.session.ID {
		t.Errorf("Location is %q", where)
	}
	k.Serve(served)
	a = ask(t, s, "GET", where, "camera", "")
	if a.StatusCode != http.StatusOK || a.session.State != "serving" || a.session.URL != "http://10.0.0.7:8080" || a.session.Kind != "GPU" || a.session.Reason == "" || !strings.Contains(a.text, `"device":null`) {
		t.Errorf("%d: %s", a.StatusCode, a.text)
	}
	if a = ask(t, s, "POST", where+"/renew", "camera", ""); a.StatusCode != http.StatusOK || a.session.State != "serving" {
		t.Errorf("renew: %d: %s", a.StatusCode, a.text)
	}
	if a = ask(t, s, "GET", "/v1/sessions", "camera", ""); !strings.Contains(a.text, where[len("/v1/sessions/"):]) {
		t.Errorf("list: %s", a.text)
	}
	if a = ask(t, s, "GET", "/v1/sessions", "another", ""); strings.TrimSpace(a.text) != `{"sessions":[]}` {
		t.Errorf("another client's list: %s", a.text)
	}
	for _, method := range []string{"GET", "DELETE"} {
		if a = ask(t, s, method, where, "another", ""); a.StatusCode != http.StatusNotFound {
			t.Errorf("another client's %s: %d", method, a.StatusCode)
		}
	}
	if a = ask(t, s, "DELETE", where, "camera", ""); a.StatusCode != http.StatusNoContent {
		t.Errorf("end: %d: %s", a.StatusCode, a.text)
	}
	if a = ask(t, s, "DELETE", where, "camera", ""); a.StatusCode != http.StatusNotFound || !strings.Contains(a.problem.Detail, "has ended") {
		t.Errorf("end again: %d: %s", a.StatusCode, a.text)
	}
}

// TestPreferWait: the client chooses how long the answer may take.
func TestPreferWait(t *testing.T) {
	k, s := door(t)
	done := make(chan struct{})
	go func() {
		defer close(done)
		<-k.Created
		k.Serve(served)
	}()
	a := ask(t, s, "POST", "/v1/sessions", "camera", faceRequest, "Prefer", "respond-async, wait=30")
	<-done
	if a.StatusCode != http.StatusCreated || a.session.Address != "10.0.0.7:8080" || a.Header.Get("Retry-After") != "" {
		t.Errorf("%d: %s", a.StatusCode, a.text)
	}
}

func TestWaitOf(t *testing.T) {
	for header, want := range map[string]time.Duration{
		"": 0, "wait=30": 30 * time.Second, "Wait = 5": 5 * time.Second, "respond-async, wait=10; x=1": 10 * time.Second,
		`wait="7"`: 7 * time.Second, "wait=-1": 0, "wait=x": 0, "wait": 0, "wait=99999": maxWait, "wait=99999999999999999999": 0, "waiting=3": 0,
	} {
		if got := waitOf([]string{header}); got != want {
			t.Errorf("Prefer: %s is %v, want %v", header, got, want)
		}
	}
}

func TestRefused(t *testing.T) {
	_, s := door(t, func(c *Config) { c.Limits.Sessions = 0 })
	_, open := door(t)
	_, byHost := door(t, func(c *Config) { c.Reach = session.ReachHostPort })
	for name, tt := range map[string]struct {
		server       *httptest.Server
		client, body string
		status       int
		says         string
	}{
		"nobody":            {open, "", faceRequest, 401, "Authorization: Bearer TOKEN"},
		"nobody can say":    {open, "unsure", faceRequest, 503, "try again"},
		"no body":           {open, "camera", "", 400, "body"},
		"not JSON":          {open, "camera", "{", 400, ""},
		"a number":          {open, "camera", "7", 422, ""},
		"no inference":      {open, "camera", "{}", 422, "body: expected required property inference to be present"},
		"unknown":           {open, "camera", `{"inference":"faces"}`, 404, `inference "faces" is unknown: known are face-recognition, no-port, no-template`},
		"broken":            {open, "camera", `{"inference":"broken"}`, 409, "it has no variants"},
		"no template":       {open, "camera", `{"inference":"no-template"}`, 409, "spec.template"},
		"no port":           {open, "camera", `{"inference":"no-port"}`, 409, "containerPort"},
		"no host port":      {byHost, "camera", faceRequest, 409, "has no hostPort"},
		"no such kind":      {open, "camera", `{"inference":"face-recognition","accelerator":"tpu"}`, 422, "choose among GPU, CPU"},
		"no kind at all":    {open, "camera", `{"inference":"face-recognition","accelerator":","}`, 422, ""},
		"a year":            {open, "camera", `{"inference":"face-recognition","ttl":"8760h"}`, 422, "between 1s and 1h0m0s"},
		"minus one, alone":  {open, "camera", `{"inference":"face-recognition","ttl":"-1"}`, 422, "body.ttl: expected string to be a time such as 90s, 5m or 1h"},
		"minus one":         {open, "camera", `{"inference":"face-recognition","ttl":"-1s"}`, 422, ""},
		"no time":           {open, "camera", `{"inference":"face-recognition","ttl":"0s"}`, 422, "between 1s"},
		"bad labels":        {open, "camera", `{"inference":"face-recognition","labels":{"a b":"c"}}`, 422, "labels"},
		"near what":         {open, "camera", `{"inference":"face-recognition","near":"me"}`, 422, ""},
		"near nothing":      {open, "camera", `{"inference":"face-recognition","near":"node"}`, 422, "serves no node in particular"},
		"unknown field":     {open, "camera", `{"inference":"face-recognition","inferences":1}`, 422, ""},
		"too many sessions": {s, "camera", faceRequest, 429, "end one first"},
		"10 MB":             {open, "camera", `{"inference":"` + strings.Repeat("x", 10<<20) + `"}`, 413, ""},
	} {
		t.Run(name, func(t *testing.T) {
			a := ask(t, tt.server, "POST", "/v1/sessions", tt.client, tt.body)
			if a.StatusCode != tt.status || a.problem.Status != tt.status || a.problem.Detail == "" || !strings.Contains(a.problem.Detail, tt.says) {
				t.Errorf("%d, want %d and %q: %.500s", a.StatusCode, tt.status, tt.says, a.text)
			}
		})
	}
}

func TestTooFast(t *testing.T) {
	_, s := door(t, func(c *Config) { c.Limits.Rate, c.Limits.Burst = 0.01, 2 })
	for i := range 3 {
		a := ask(t, s, "GET", "/v1/sessions", "camera", "")
		if slow := i < 2; slow != (a.StatusCode == http.StatusOK) || !slow && a.Header.Get("Retry-After") == "" {
			t.Errorf("request %d: %d, Retry-After %q", i+1, a.StatusCode, a.Header.Get("Retry-After"))
		}
	}
	if a := ask(t, s, "GET", "/v1/sessions", "another", ""); a.StatusCode != http.StatusOK {
		t.Errorf("another client pays for it: %d", a.StatusCode)
	}
}

func TestNotReady(t *testing.T) {
	_, s := door(t, func(c *Config) { c.Ready = func() error { return errors.New("waiting for the list of sessions") } })
	a := ask(t, s, "GET", "/v1/sessions", "camera", "")
	if a.StatusCode != http.StatusServiceUnavailable || !strings.Contains(a.problem.Detail, "waiting for the list") {
		t.Errorf("%d: %s", a.StatusCode, a.text)
	}
}
