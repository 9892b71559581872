package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"heteroaccel.io/cli/pages/pagestest"
)

// golden are the pages of the extender's tests, by their paths.
var golden = map[string]string{
	"/nodes": "nodes", "/nodes/node-g": "node-g", "/pods": "pods", "/decisions": "decisions",
	"/pods/default/waiter": "waiter", "/pods/default/face-0": "face-0", "/pods/default/picky": "picky",
}

// extender serves these pages; change may change the text of one.
func extender(t *testing.T, change func(path, text string) string) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ending := ".txt"
		if r.Header.Get("Accept") == "application/json" {
			ending = ".json"
		}
		text, err := os.ReadFile(filepath.Join("../extender/explain/testdata", golden[r.URL.Path]+ending))
		if err != nil {
			w.WriteHeader(http.StatusNotFound)
			_ = json.NewEncoder(w).Encode(map[string]string{"error": fmt.Sprintf("there is no pod %q in namespace %q: GET /pods lists all", filepath.Base(r.URL.Path), "default")})
			return
		}
		if change != nil {
			text = []byte(change(r.URL.Path, string(text)))
		}
		_, _ = w.Write(text)
	}))
	t.Cleanup(s.Close)
	return s
}

func host(s *httptest.Server) string { return strings.TrimPrefix(s.URL, "http://") }

// does runs the program, with a kubeconfig that there is not.
func does(ctx context.Context, out, notes io.Writer, args ...string) error {
	c := command("heteroaccel")
	c.SetArgs(args)
	c.SetOut(out)
	c.SetErr(notes)
	return c.ExecuteContext(ctx)
}

// said runs a command on an API server to its end.
func said(t *testing.T, api *pagestest.API, args string) (out, notes string, err error) {
	t.Helper()
	t.Setenv("KUBECONFIG", filepath.Join(t.TempDir(), "none"))
	var o, n bytes.Buffer
	err = does(t.Context(), &o, &n, append(strings.Fields(args), "--server", api.URL)...)
	return o.String(), n.String(), err
}

// file is one of the extender's pages, or of ours.
func file(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestViews: each command shows its page by a port that is forwarded.
func TestViews(t *testing.T) {
	api := pagestest.New(t)
	api.Extenders["extender-1"] = host(extender(t, nil))
	const theirs, ours = "../extender/explain/testdata/", "show/testdata/"
	for args, want := range map[string]string{
		"nodes":                        theirs + "nodes.txt",
		"nodes node-g":                 theirs + "node-g.txt",
		"nodes node/node-g":            theirs + "node-g.txt",
		"nodes -o wide":                ours + "nodes-wide.txt",
		"explain waiter":               theirs + "waiter.txt",
		"explain pod/waiter -o wide":   theirs + "waiter.txt",
		"explain waiter -n default":    theirs + "waiter.txt",
		"queue":                        ours + "queue.txt",
		"queue -o wide -A":             ours + "queue-wide.txt",
		"queue -n default":             ours + "queue.txt",
		"queue -n lab -A":              ours + "queue.txt",
		"queue -o json":                ours + "queue.json",
		"top":                          ours + "top.txt",
		"top -o wide":                  ours + "top-wide.txt",
		"top -o json":                  ours + "top.json",
		"decisions -o wide":            ours + "decisions-wide.txt",
		"decisions --limit 4":          ours + "decisions.txt",
		"nodes node-g -o json":         theirs + "node-g.json",
		"explain waiter -o json":       theirs + "waiter.json",
		"queue --extender-url EXT":     ours + "queue.txt",
		"nodes -o json -n kube-system": theirs + "nodes.json",
	} {
		t.Run(args, func(t *testing.T) {
			out, _, err := said(t, api, strings.ReplaceAll(args, "EXT", "http://"+api.Extenders["extender-1"]))
			if err != nil || out != file(t, want) {
				t.Errorf("%v: got\n%s\nwant\n%s", err, out, file(t, want))
			}
		})
	}
	if out, notes, err := said(t, api, "decisions -n lab"); err != nil || strings.Contains(out, "cam-") || !strings.Contains(notes, "not all is shown: what the webhook at 10.0.0.2:8443") {
		t.Errorf("%v: %s%s", err, out, notes)
	}
	if out, _, err := said(t, api, "decisions --limit 1 -o json"); err != nil || strings.Count(out, `"what"`) != 1 || !strings.Contains(out, "recreated") {
		t.Errorf("%v: the last decision is %s", err, out)
	}
	if out, _, err := said(t, api, "queue -o yaml"); err != nil || !strings.HasPrefix(out, "kinds:\n- kind: GPU\n") {
		t.Errorf("%v: as YAML %s", err, out)
	}
	if out, _, err := said(t, api, "queue -n lab"); err != nil || out != "no pod waits for an accelerator\n" {
		t.Errorf("%v: of another namespace %s", err, out)
	}
}

// TestLeftOut: what a page leaves out is reported beside it, in each form.
func TestLeftOut(t *testing.T) {
	api := pagestest.New(t)
	api.Extenders["extender-1"] = host(extender(t, func(_, text string) string {
		if rest, ok := strings.CutPrefix(text, "{"); ok {
			return `{"notShown":"what you may not list",` + rest
		}
		return text + "\nNOT SHOWN    what you may not list\n"
	}))
	for _, command := range []string{"nodes", "explain waiter", "queue", "top", "decisions", "nodes node-g"} {
		for _, form := range []string{"", " -o wide", " -o json"} {
			out, notes, err := said(t, api, command+form)
			if err != nil || strings.Contains(out, "NOT SHOWN") || strings.Count(notes, "what you may not list") != 1 {
				t.Errorf("%s%s: %v, %q", command, form, err, notes)
			}
		}
	}
}

// TestViewErrors: what keeps somebody from a page is one sentence that says what to do.
func TestViewErrors(t *testing.T) {
	const registration = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/heteroaccel"
	for name, tt := range map[string]struct {
		change func(*pagestest.API)
		args   string
		want   string
	}{
		"no right to forward": {func(a *pagestest.API) { a.MayNot = []string{"create pods/portforward"} }, "queue", "you may not create pods/portforward in namespace heteroaccel-system, which it takes to read the extender's pages: have an administrator give you the Role of docs/cli.md#rights"},
		"no right to list":    {func(a *pagestest.API) { a.MayNot = []string{"list pods"} }, "queue", "you may not list pods in namespace heteroaccel-system"},
		"nothing installed":   {func(a *pagestest.API) { a.Extenders = nil }, "top", "HeteroAccel is not installed in this cluster"},
		"another namespace": {func(a *pagestest.API) {
			a.Extenders, a.Objects[registration] = nil, `{"metadata":{"name":"heteroaccel"}}`
		}, "top", "there is no extender pod in namespace heteroaccel-system: name its namespace with --system-namespace"},
		"none is ready":     {func(a *pagestest.API) { a.Extenders, a.Unready = nil, []string{"extender-1"} }, "nodes", "no extender pod in namespace heteroaccel-system is ready: kubectl -n heteroaccel-system describe pods"},
		"pages for others":  {func(a *pagestest.API) { a.Args = []string{"--pages-bind-address=:8889"} }, "nodes", "name their URL with --extender-url"},
		"an unknown pod":    {func(*pagestest.API) {}, "explain nobody", `there is no pod "nobody" in namespace "default": kubectl get pods lists all`},
		"a wrong form":      {func(*pagestest.API) {}, "queue -o xml", `--output "xml": choose json, yaml or wide`},
		"a CA for nothing":  {func(*pagestest.API) {}, "queue --extender-ca ca.crt", "without an --extender-url with https"},
		"no decisions":      {func(*pagestest.API) {}, "decisions --limit 0", "a number above 0"},
		"no pod":            {func(*pagestest.API) {}, "explain", "accepts 1 arg"},
		"no API server":     {func(a *pagestest.API) { a.Close() }, "queue", "the API server cannot be reached, to find the extender"},
		"nobody listens":    {func(*pagestest.API) {}, "queue --extender-url http://127.0.0.1:1", "read the extender's page /pods"},
		"an empty wildcard": {func(*pagestest.API) {}, "queue all", "unknown command"},
	} {
		t.Run(name, func(t *testing.T) {
			api := pagestest.New(t)
			api.Extenders["extender-1"] = host(extender(t, nil))
			tt.change(api)
			if _, _, err := said(t, api, tt.args); err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("it says %v, want %s", err, tt.want)
			}
		})
	}
}

// TestNotAdmitted: where no webhook is registered, that is why a pod was not admitted.
func TestNotAdmitted(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusNotFound)
		_ = json.NewEncoder(w).Encode(map[string]string{"error": `pod "p" in namespace "default" was not admitted by HeteroAccel: annotate pods with x before they are created`})
	}))
	defer s.Close()
	api := pagestest.New(t)
	api.Extenders["extender-1"] = host(s)
	_, _, err := said(t, api, "explain p")
	if err == nil || !strings.Contains(err.Error(), "before they are created, and no webhook is registered") || !errors.As(err, new(failure)) {
		t.Errorf("it says %v", err)
	}
}

// TestReplicas: of several extenders the one explains that kube-scheduler asked.
func TestReplicas(t *testing.T) {
	not := func(path, text string) string {
		if path != "/pods/default/waiter" {
			return text
		}
		text = strings.Replace(text, `"asked": "yes"`, `"asked": "no"`, 1)
		return strings.ReplaceAll(text, "asked 0s ago about 3 nodes: 1 passed, 2 rejected", "not asked here")
	}
	api := pagestest.New(t)
	api.Extenders["extender-1"], api.Extenders["extender-2"] = host(extender(t, not)), host(extender(t, nil))
	if out, notes, err := said(t, api, "explain waiter"); err != nil || !strings.Contains(out, "extender     asked 0s ago about 3 nodes") || notes != "" {
		t.Errorf("%v: %s%s", err, out, notes)
	}
	api.Extenders["extender-2"] = host(extender(t, not))
	if out, notes, err := said(t, api, "explain waiter"); err != nil || !strings.Contains(out, "not asked here") || !strings.Contains(notes, "none of the 2 extenders") {
		t.Errorf("%v: %s%s", err, out, notes)
	}
	api.Extenders["extender-2"] = "127.0.0.1:1"
	if _, notes, err := said(t, api, "explain waiter"); err != nil || !strings.Contains(notes, "another extender") {
		t.Errorf("%v: %s", err, notes)
	}
}

// lockedBuffer is written and read at the same time.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// await polls until a text has parts, or fails after a time that is far too long.
func await(t *testing.T, what *lockedBuffer, part string, times int) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(time.Minute); strings.Count(what.String(), part) < times; <-tick.C {
		if time.Now().After(end) {
			t.Fatalf("%q is not there %d times:\n%s", part, times, what.String())
		}
	}
}

// TestWatch: it shows what changes, goes on with another extender when the one ends, which
// it reports once, and ends without an error when it is interrupted.
func TestWatch(t *testing.T) {
	t.Setenv("KUBECONFIG", filepath.Join(t.TempDir(), "none"))
	var mu sync.Mutex
	name := "waiter"
	rename := func(_, text string) string {
		mu.Lock()
		defer mu.Unlock()
		return strings.ReplaceAll(text, "waiter", name)
	}
	change := func(to string) {
		mu.Lock()
		defer mu.Unlock()
		name = to
	}
	api := pagestest.New(t)
	api.Extenders["extender-1"] = host(extender(t, rename))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var out, notes lockedBuffer
	ended := make(chan error, 1)
	go func() { ended <- does(ctx, &out, &notes, "queue", "-w", "--server", api.URL) }()
	await(t, &out, "waiter", 1)
	change("another")
	await(t, &out, "another", 1)
	api.Kill("extender-1")
	await(t, &notes, "trying again every 2s", 1)
	change("last")
	second := host(extender(t, rename))
	api.Change(func() { api.Extenders["extender-2"] = second })
	await(t, &out, "last", 1)
	if n := strings.Count(notes.String(), "\n"); n != 1 {
		t.Errorf("the outage is reported in %d lines:\n%s", n, notes.String())
	}
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("interrupted: %v", err)
	}
	if n := strings.Count(out.String(), "KIND "); n != 3 {
		t.Errorf("it was shown %d times, and there were 3 changes:\n%s", n, out.String())
	}
}
