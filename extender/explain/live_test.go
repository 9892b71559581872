package explain

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"heteroaccel.io/extender/extendertest"
	"heteroaccel.io/extender/live"
	"heteroaccel.io/pkg/journal"
)

// run keeps the board of a rig up to date until the test ends, or stop is called.
func (r *rig) run(t testing.TB) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	group.Go(func() {
		if err := r.pages.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	stop = func() { cancel(); group.Wait() }
	t.Cleanup(stop)
	return stop
}

// looker reads a stream, and has what it was told.
type looker struct {
	lines *bufio.Scanner
	close func() error
	first live.Message
	nodes map[string]live.Node
	pods  map[string]live.Pod
	last  live.Message
	bytes int
}

func (r *rig) look(t testing.TB) *looker {
	t.Helper()
	resp, err := r.Client().Get(r.URL + streamPath)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != "application/x-ndjson" {
		t.Fatalf("%s %v", resp.Status, resp.Header)
	}
	l := &looker{lines: bufio.NewScanner(resp.Body), close: resp.Body.Close, nodes: map[string]live.Node{}, pods: map[string]live.Pod{}}
	l.lines.Buffer(nil, 64<<20)
	t.Cleanup(func() { _ = l.close() }) // it may be closed already
	if !l.next(t) {
		t.Fatal("the stream ended at once")
	}
	l.first = l.last
	return l
}

// next takes one message; false at the end.
func (l *looker) next(t testing.TB) bool {
	t.Helper()
	if !l.lines.Scan() {
		return false
	}
	var m live.Message
	if err := json.Unmarshal(l.lines.Bytes(), &m); err != nil {
		t.Fatalf("%v in %s", err, l.lines.Bytes())
	}
	l.bytes += len(l.lines.Bytes())
	if m.Begins != "" {
		clear(l.nodes)
		clear(l.pods)
	}
	if m.Nodes != nil {
		for _, n := range m.Nodes.Set {
			l.nodes[n.Name] = n
		}
		for _, key := range m.Nodes.Delete {
			delete(l.nodes, key)
		}
	}
	if m.Pods != nil {
		for _, p := range m.Pods.Set {
			l.pods[p.Namespace+"/"+p.Name] = p
		}
		for _, key := range m.Pods.Delete {
			delete(l.pods, key)
		}
	}
	l.last = m
	return true
}

// until takes messages until one is as wanted.
func (l *looker) until(t *testing.T, what string, is func() bool) {
	t.Helper()
	for !is() {
		if !l.next(t) {
			t.Fatalf("the stream ended before %s", what)
		}
	}
}

// TestStream: somebody who looks gets everything, then what changes, and no more once the
// extender ends.
func TestStream(t *testing.T) {
	r := scene(t)
	r.decide()
	stop := r.run(t)
	l := r.look(t)
	l.until(t, "the nodes", func() bool { return len(l.nodes) == 6 && len(l.pods) == 9 })
	if l.first.Begins == "" || l.first.Since == nil || len(l.first.Decisions) != 4 || l.first.Decisions[3].What != journal.Recreated {
		t.Errorf("first: %+v", l.first)
	}
	g := live.Node{
		Name: "node-g", Telemetry: "fresh", CPU: live.CPU{Cores: 8, Free: 6, Load: new(30), Pods: []live.Holder{{Namespace: "default", Pod: "face-3"}}},
		Devices: []live.Device{{
			Kind: "GPU", ID: "0000:00:02.0", Model: "TigerLake-LP GT2 [Iris Xe Graphics]", State: "busy", Load: new(60), Holders: []live.Holder{{Namespace: "default", Pod: "face-0"}},
		}},
	}
	if diff := cmp.Diff(g, l.nodes["node-g"]); diff != "" {
		t.Errorf("node-g (-want +got):\n%s", diff)
	}
	for name, want := range map[string]string{"node-s": "stale", "node-z": "none", "node-u": "fresh"} {
		if got := l.nodes[name].Telemetry; got != want {
			t.Errorf("the telemetry of %s is %s, want %s", name, got, want)
		}
	}
	if z := l.nodes["node-z"].Devices; len(z) != 1 || z[0].Kind != "GPU" || z[0].State != "1 of 1 free" {
		t.Errorf("without telemetry: %+v", z)
	}
	if n := l.nodes["node-n"]; len(n.Unmapped) != 1 || n.Unmapped[0].Pod != "face-2" {
		t.Errorf("who has a device that is not known yet: %+v", n)
	}
	w := l.pods["default/waiter"]
	if !w.Waits || w.Kind != "GPU" || !strings.Contains(w.Reason, "waits for GPU") || w.Node != "" || w.Created == nil {
		t.Errorf("who waits: %+v", w)
	}
	if v := l.pods["default/volume"]; !strings.Contains(v.Verdict, "Insufficient gpu") {
		t.Errorf("who is unschedulable: %+v", v)
	}

	r.SetPod(extendertest.Managed("waiter", "node-z", "GPU", nil, extendertest.GPU, "1"))
	r.DeletePod("default", "face-0")
	r.Scrape("node-u", time.Second, extendertest.Device("GPU", "0000:00:02.0", extendertest.GPU))
	r.decided.Add(journal.Entry{Time: extendertest.Now, What: journal.Denied, Namespace: "default", Pod: "late", Reason: "no"})
	l.until(t, "what changed", func() bool {
		_, there := l.pods["default/face-0"]
		return !there && l.pods["default/waiter"].Node == "node-z" && l.nodes["node-u"].Devices[0].State == "idle" && l.nodes["node-g"].Devices[0].State == "idle"
	})
	if l.last.Begins != "" || l.last.Nodes != nil && len(l.last.Nodes.Set) > 3 {
		t.Errorf("what has not changed was sent anew: %+v", l.last)
	}
	_, _, text := r.get(t, "/nodes/node-g/devices/0000:00:02.0")
	if !strings.Contains(text, "default/face-0") || strings.Contains(text, "now") {
		t.Errorf("who had the GPU:\n%s", text)
	}
	stop()
	for l.next(t) {
	}
	if status, _, body := r.get(t, streamPath); status != http.StatusServiceUnavailable || !strings.Contains(body, "is ending") {
		t.Errorf("after the end: %d %s", status, body)
	}
}

// TestLookBeforeAnythingIsRead: who looks before the state was read for the first time gets
// everything once it is.
func TestLookBeforeAnythingIsRead(t *testing.T) {
	r := scene(t)
	l := r.look(t)
	if l.first.Begins == "" || len(l.nodes) > 0 {
		t.Fatalf("first: %+v", l.first)
	}
	r.run(t)
	l.until(t, "the nodes", func() bool { return len(l.nodes) == 6 && len(l.pods) == 9 })
}

// TestStreamForOthers: of pods that somebody may not list the stream tells neither when
// they come nor when they go, and nodes only to who may list them; as rights change, so
// does the stream.
func TestStreamForOthers(t *testing.T) {
	r := scene(t)
	r.SetPod(extendertest.Managed("mine", "", "GPU", extendertest.In("lab"), extendertest.GPU, "1"))
	r.decide()
	lists := map[string]bool{"pods/lab": true}
	r.mayList = func(resource schema.GroupResource, namespace string) (bool, error) {
		return lists[resource.String()+"/"+namespace], nil
	}
	r.run(t)
	now := func() (m live.Message, raw string) {
		t.Helper()
		_, _, raw = r.get(t, livePath)
		if err := json.Unmarshal([]byte(raw), &m); err != nil {
			t.Fatal(err)
		}
		return m, raw
	}
	m, raw := now()
	for m.Pods == nil { // until the state is read for the first time
		m, raw = now()
	}
	if m.Nodes != nil || m.Kinds != nil || len(m.Pods.Set) != 1 || len(m.Decisions) != 1 || strings.Contains(raw, "face-0") || strings.Contains(raw, "node-g") {
		t.Errorf("a namespace alone: %s", raw)
	}
	if !strings.Contains(m.NotShown, "pods of namespaces in which you may not list pods") || !strings.Contains(m.NotShown, "nodes, which you may not list") {
		t.Errorf("not shown: %q", m.NotShown)
	}
	lists["nodes/"] = true
	if m, raw = now(); len(m.Nodes.Set) != 6 || strings.Contains(raw, "face-0") || !strings.Contains(raw, `"holders":[{}]`) {
		t.Errorf("nodes too: %s", raw)
	}
	lists["pods/"] = true
	if m, _ = now(); len(m.Pods.Set) != 10 || m.NotShown != "" {
		t.Errorf("everything: %d pods, not shown %q", len(m.Pods.Set), m.NotShown)
	}
	r.mayList = func(schema.GroupResource, string) (bool, error) { return false, errors.New("no route") }
	if status, _, body := r.get(t, livePath); status != http.StatusServiceUnavailable || !strings.Contains(body, "what you may see is unknown") {
		t.Errorf("rights unknown: %d %s", status, body)
	}
}
