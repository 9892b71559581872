package apiproxy

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// api is what stands for the API server: it answers who asked what, and streams
// watches until they end.
func api(w http.ResponseWriter, r *http.Request) {
	if r.URL.Query().Get("watch") == "" {
		fmt.Fprintf(w, "%s %s for %s of %v", r.Method, r.URL.Path, r.Header.Get("Impersonate-User"), r.Header["Impersonate-Group"])
		return
	}
	if r.URL.Query().Get("resourceVersion") == "1" {
		fmt.Fprint(w, "ERROR too old resource version: 1 (7)\n")
		return
	}
	fmt.Fprint(w, "{}\n")
}

func TestPassesOnAsTheProgram(t *testing.T) {
	p, client := started(t, api)
	code, body := get(t, client, p.URL()+"/api/v1/namespaces/a/pods/b")
	if want := "GET /api/v1/namespaces/a/pods/b for program of [these those]"; code != 200 || body != want {
		t.Errorf("%d %q, want %q", code, body, want)
	}
	if diff := cmp.Diff(map[string]int{"get pods": 1}, p.Calls()); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
}

// TestNobodyElse: who has no certificate reaches nothing.
func TestNobodyElse(t *testing.T) {
	p, client := started(t, api)
	client.Transport.(*http.Transport).TLSClientConfig.Certificates = nil
	if _, err := client.Get(p.URL() + "/api/v1/pods"); err == nil {
		t.Error("it was let in")
	}
}

func TestFaults(t *testing.T) {
	all := func(Call) bool { return true }
	var refused, carried atomic.Int64
	released := make(chan struct{})
	close(released)
	kill := func(after bool) Fault {
		return func(_ context.Context, _ Call, send Send) (*http.Response, error) {
			if after {
				resp, err := send()
				if err != nil {
					return nil, err
				}
				resp.Body.Close()
			}
			return nil, ErrGone
		}
	}
	tests := map[string]struct {
		fault   Fault
		code    int // 0 for no answer
		carried int64
		says    string
	}{
		"none":                {nil, 200, 1, "GET"},
		"late":                {Late(20 * time.Millisecond), 200, 1, "GET"},
		"held and released":   {Hold(released), 200, 1, "GET"},
		"refused":             {Refuse(500, all, &refused), 500, 0, `"code":500`},
		"slowed down":         {Refuse(429, all, &refused), 429, 0, `"reason":"TooManyRequests"`},
		"not what is refused": {Refuse(500, func(c Call) bool { return c.Verb == "update" }, &refused), 200, 1, "GET"},
		"killed before":       {kill(false), 0, 0, ""},
		"killed after":        {kill(true), 0, 1, ""},
		"no part":             {(&Refusals{Part: 0, Random: rand.New(rand.NewPCG(1, 1))}).Fault, 200, 1, "GET"},
	}
	p, client := started(t, func(w http.ResponseWriter, r *http.Request) { carried.Add(1); api(w, r) })
	for name, c := range tests {
		t.Run(name, func(t *testing.T) {
			carried.Store(0)
			p.Set(c.fault)
			code, body := get(t, client, p.URL()+"/api/v1/pods/a")
			if code != c.code || !strings.Contains(body, c.says) {
				t.Errorf("%d %q, want %d and %q", code, body, c.code, c.says)
			}
			if carried.Load() != c.carried {
				t.Errorf("carried out %d times, want %d", carried.Load(), c.carried)
			}
		})
	}
	if refused.Load() != 2 {
		t.Errorf("%d were refused, want 2", refused.Load())
	}
}

// TestRefusals: the part that was asked for, each status among them, and a conflict
// only where something is written.
func TestRefusals(t *testing.T) {
	r := &Refusals{Part: 0.5, Random: rand.New(rand.NewPCG(1, 2))}
	carried, answered := 0, 0
	send := func() (*http.Response, error) { carried++; return answer(200), nil }
	for i := range 2000 {
		c := Call{Verb: []string{"get", "update"}[i%2], Resource: "pods"}
		resp, err := r.Fault(t.Context(), c, send)
		if err != nil {
			t.Fatal(err)
		}
		if resp.StatusCode == http.StatusConflict && c.Verb == "get" {
			t.Error("a conflict for a get")
		}
		if resp.StatusCode != 200 {
			answered++
		}
	}
	made := r.Made()
	total := 0
	for _, code := range []int{409, 429, 500, 503, 504} {
		if made[code] == 0 {
			t.Errorf("none was answered %d: %v", code, made)
		}
		total += made[code]
	}
	if answered < 900 || answered > 1100 || total != answered {
		t.Errorf("%d of 2000 were refused, want about 1000, and %d are counted", answered, total)
	}
	if carried <= 2000-answered {
		t.Errorf("%d were carried out, want some of the refused ones among them", carried)
	}
}

func TestCallOf(t *testing.T) {
	tests := map[string]struct {
		method, url, want string
	}{
		"a list":         {"GET", "/api/v1/pods", "list pods"},
		"a watch":        {"GET", "/api/v1/namespaces/a/pods?watch=true", "watch pods"},
		"an object":      {"GET", "/apis/batch/v1/namespaces/a/jobs/b", "get jobs"},
		"a renewal":      {"PUT", "/apis/coordination.k8s.io/v1/namespaces/a/leases/b", "update leases"},
		"a status":       {"PATCH", "/api/v1/namespaces/a/pods/b/status", "patch pods/status"},
		"a dry run":      {"POST", "/api/v1/namespaces/a/pods?dryRun=All", "create pods, dry run"},
		"no resource":    {"GET", "/apis/gateway.networking.k8s.io/v1", "get /apis/gateway.networking.k8s.io/v1"},
		"a custom one":   {"GET", "/apis/heteroaccel.io/v1alpha1/inferenceprofiles/x", "get inferenceprofiles"},
		"one is deleted": {"DELETE", "/api/v1/namespaces/a/pods/b", "delete pods"},
	}
	for name, c := range tests {
		t.Run(name, func(t *testing.T) {
			r, err := http.NewRequest(c.method, c.url, nil)
			if err != nil {
				t.Fatal(err)
			}
			call, err := CallOf(r)
			if err != nil || call.String() != c.want {
				t.Errorf("%q, %v, want %q", call, err, c.want)
			}
		})
	}
}

// get returns 0 where there was no answer.
func get(t *testing.T, client *http.Client, url string) (int, string) {
	t.Helper()
	resp, err := client.Get(url)
	if err != nil {
		return 0, ""
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}
