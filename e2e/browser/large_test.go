package browser

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"heteroaccel.io/e2e/poll"
	"heteroaccel.io/extender/bypass"
	"heteroaccel.io/extender/explain"
	"heteroaccel.io/extender/extendertest"
	"heteroaccel.io/extender/history"
	"heteroaccel.io/extender/ui"
	"heteroaccel.io/pkg/inventory"
	"heteroaccel.io/pkg/journal"
	"heteroaccel.io/pkg/kube"
	"heteroaccel.io/pkg/serve"
)

// TestLarge: of a cluster with 5,000 nodes and 12,000 pods the document has the rows that
// are to be seen alone, wherever somebody scrolls, and a word finds one node of all. How
// long the browser takes for a message is logged.
func TestLarge(t *testing.T) {
	const nodes, running, waiting = 5000, 4800, 7200
	c := extendertest.New(t, time.Now)
	for i := range nodes {
		c.SetNode(fmt.Sprintf("node-%04d", i), nil, extendertest.GPU, "1")
	}
	pod := func(i int) {
		on := ""
		if i < running {
			on = fmt.Sprintf("node-%04d", i)
		}
		c.SetPod(extendertest.Managed(fmt.Sprintf("camera-%05d", i), on, "GPU", func(p *corev1.Pod) {
			p.CreationTimestamp = metav1.NewTime(time.Now().Add(time.Duration(i-running-waiting) * time.Second))
		}, extendertest.GPU, "1"))
	}
	for i := range running + waiting {
		pod(i)
	}
	page := open(t, c.Inventory, c)
	expect := func(what, expression string, want float64) {
		t.Helper()
		err := poll.Within(t.Context(), 2*time.Minute, func(context.Context) error {
			got, err := Evaluate[float64](page, expression)
			if err == nil && got != want {
				err = fmt.Errorf("%s: %v, want %v", what, got, want)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	const rows = `document.querySelectorAll("%s .row").length`
	expect("nodes", `Number(document.getElementById("nodes-count").textContent)`, nodes)
	expect("who waits", `Number(document.querySelector("#queue .row").getAttribute("aria-setsize"))`, waiting)
	for _, list := range []string{"#nodes", "#queue"} {
		for _, part := range []string{"0", "0.5", "1"} {
			painted := "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))"
			if _, err := Evaluate[bool](page, fmt.Sprintf(`(() => { const e = document.querySelector(%q); e.scrollTop = %s * e.scrollHeight; return %s; })()`, list, part, painted)); err != nil {
				t.Fatal(err)
			}
			if n, err := Evaluate[float64](page, fmt.Sprintf(rows, list)); err != nil || n < 5 || n > 60 {
				t.Errorf("%s at %s of its height has %v rows, %v", list, part, n, err)
			}
		}
	}
	expect("the last node", `document.querySelector("#nodes .row:last-child").textContent.includes("node-4999") ? 1 : 0`, 1)
	if _, err := Evaluate[bool](page, `(() => { const f = document.getElementById("find"); f.value = "camera-00042"; f.dispatchEvent(new Event("input")); return true; })()`); err != nil {
		t.Fatal(err)
	}
	expect("found", fmt.Sprintf(rows, "#nodes"), 1)
	took, err := Evaluate[float64](page, `(() => { const f = document.getElementById("find"), began = performance.now(); for (let i = 0; i < 10; i++) { f.value = "node " + i; f.dispatchEvent(new Event("input")); } return (performance.now() - began) / 10; })()`)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("to find a word among all nodes: %.1f ms", took)
	if errs := page.Errors(); len(errs) > 0 {
		t.Errorf("the page wrote to its console: %v", errs)
	}
}

// open shows the live page of what an extender knows.
func open(t *testing.T, inv *inventory.Inventory, c *extendertest.Cluster) *Page {
	t.Helper()
	calls, err := history.New(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	pages := explain.New(explain.Config{
		Inventory: inv, Profiles: c.Profiles, History: calls, Decisions: journal.New(10),
		Bypassed: func() []bypass.Report { return nil }, Alone: func() bool { return true }, Conflict: func(string) string { return "" },
		Suspended: func() bool { return false }, NotRecreated: func() []kube.NotRecreated { return nil }, Missing: func() []string { return nil },
		MayList: func(*http.Request, schema.GroupResource, string) (bool, error) { return true, nil },
	})
	router := serve.Router(zerolog.Nop())
	pages.Route(router)
	mux := http.NewServeMux()
	mux.Handle("/", router)
	mux.Handle(ui.Path+"/", ui.Handler())
	server := httptest.NewServer(mux)
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() {
		if err := pages.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() {
		cancel()
		running.Wait()
		server.Close()
	})
	page, err := Open(t.Context(), server.URL+ui.Path+"/")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(page.Close)
	return page
}
