package explain

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"heteroaccel.io/extender/extendertest"
	"heteroaccel.io/extender/live"
)

// TestAgain: a viewer notices that a right was given or taken away, and nothing else.
func TestAgain(t *testing.T) {
	r := scene(t)
	mine := true
	r.mayList = func(resource schema.GroupResource, namespace string) (bool, error) {
		return resource == nodeResource || namespace == "lab" && mine, nil
	}
	who, err := r.pages.liveViewer(&http.Request{})
	if err != nil {
		t.Fatal(err)
	}
	if !who.Pods("lab") || who.Pods("default") {
		t.Fatal("the rights are not as given")
	}
	if _, changed, err := who.Again(); changed || err != nil {
		t.Errorf("nothing has changed: %v, %v", changed, err)
	}
	mine = false
	if now, changed, err := who.Again(); !changed || err != nil || now.Pods("lab") {
		t.Errorf("a right was taken away: %v, %v", changed, err)
	}
}

// TestStreamOutlastsTimeouts: those of the server are for pages that end.
func TestStreamOutlastsTimeouts(t *testing.T) {
	for name, http2 := range map[string]bool{"HTTP/1": false, "HTTP/2": true} {
		t.Run(name, func(t *testing.T) {
			r := scene(t)
			r.run(t)
			handler := r.Server.Config.Handler
			r.Server = httptest.NewUnstartedServer(handler)
			r.Server.Config.ReadTimeout, r.Server.Config.WriteTimeout = 200*time.Millisecond, 200*time.Millisecond
			r.Server.EnableHTTP2 = http2
			r.Server.StartTLS()
			t.Cleanup(r.Server.Close)
			l := r.look(t)
			for began, i := time.Now(), 0; time.Since(began) < 3*time.Second; i++ {
				name := fmt.Sprintf("new-%d", i)
				r.SetPod(extendertest.Managed(name, "", "GPU", nil, extendertest.GPU, "1"))
				l.until(t, name, func() bool { _, ok := l.pods["default/"+name]; return ok })
				if l.last.Begins != l.first.Begins && l.last.Begins != "" {
					t.Fatal("it began anew")
				}
			}
		})
	}
}

// TestViewersAreBounded: so many may look at a time, and another once one has gone.
func TestViewersAreBounded(t *testing.T) {
	r := newRig(t)
	r.run(t)
	var all []*looker
	for range live.MaxViewers {
		all = append(all, r.look(t))
	}
	status, _, body := r.get(t, streamPath)
	if status != http.StatusServiceUnavailable || !strings.Contains(body, "look at the page already") {
		t.Fatalf("one more: %d %s", status, body)
	}
	if err := all[0].close(); err != nil {
		t.Fatal(err)
	}
	limit := time.After(time.Minute)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for status != http.StatusOK {
		resp, err := http.Get(r.URL + streamPath)
		if err != nil {
			t.Fatal(err)
		}
		status = resp.StatusCode
		_ = resp.Body.Close() // it is not read
		select {
		case <-tick.C:
		case <-limit:
			t.Fatal("nobody may look although one has gone")
		}
	}
}

// TestExpectedWait: the first in the queue starts when the first run ends, the others
// after it.
func TestExpectedWait(t *testing.T) {
	r := newRig(t)
	r.SetNode("node-g", nil, extendertest.GPU, "1")
	r.SetPod(extendertest.Managed("runs", "node-g", "GPU", nil, extendertest.GPU, "1"))
	p := extendertest.Record(extendertest.Managed("waits", "", "GPU", nil, extendertest.GPU, "1"))
	if _, ok := r.pages.expectedWait(p, 0); ok {
		t.Error("a server never ends, and yet somebody is expected to follow it")
	}
	r.DeletePod("default", "runs")
	if wait, ok := r.pages.expectedWait(p, 0); !ok || wait != 0 {
		t.Errorf("the GPU is idle: %s, %v", wait, ok)
	}
	gated := *p
	gated.Gated = true
	if _, ok := r.pages.expectedWait(&gated, 0); ok {
		t.Error("scheduling gates hold it back, and yet it is expected to start")
	}
	first, ok := r.pages.expectedWait(p, 1)
	second, ok2 := r.pages.expectedWait(p, 2)
	if !ok || !ok2 || first <= 0 || second <= first {
		t.Errorf("the next: %s %v, %s %v", first, ok, second, ok2)
	}
	q := extendertest.Record(extendertest.Managed("nowhere", "", "NPU", nil, extendertest.NPU, "1"))
	if _, ok := r.pages.expectedWait(q, 0); ok {
		t.Error("no node has an NPU, and yet it is expected to start")
	}
}
