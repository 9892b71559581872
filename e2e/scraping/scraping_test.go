//go:build cluster

package scraping

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"heteroaccel.io/e2e/cluster"
	"heteroaccel.io/e2e/machine"
	"heteroaccel.io/pkg/monitor"
	"heteroaccel.io/pkg/telemetry"
)

// TestRules: Prometheus accepts configuration and rules, and the rules do what
// their unit tests say.
func TestRules(t *testing.T) {
	text, err := os.ReadFile(deployed(t, "prometheus.yml"))
	do(t, err)
	config := filepath.Join(t.TempDir(), "prometheus.yml")
	do(t, os.WriteFile(config, []byte(strings.ReplaceAll(string(text), "/etc/prometheus/rules.yml", deployed(t, "rules.yml"))), 0o600))
	promtool(t, "check", "config", "--lint=all", "--lint-fatal", config)
	promtool(t, "check", "rules", "--lint=all", "--lint-fatal", deployed(t, "rules.yml"))
	root, err := cluster.Root()
	do(t, err)
	promtool(t, "test", "rules", filepath.Join(root, "deploy", "testdata", "prometheus", "rules_test.yml"))
}

// scrapes are the ways in which an operator may have the exporters scraped, and the
// flag for each.
var scrapes = map[string]struct {
	change func(config map[string]any, job map[string]any)
	flag   string
}{
	"as deploy/prometheus does": {func(map[string]any, map[string]any) {}, "--prometheus-selector=" + monitor.DefaultSelector},
	"by somebody else's Prometheus, with tenants": {func(config, job map[string]any) {
		job["job_name"], job["scrape_interval"] = "kubernetes-pods", "5s"
		tenants := map[string]any{"job_name": "tenants", "scrape_interval": "1s", "honor_labels": true, "static_configs": job["tenants"]}
		config["scrape_configs"] = append(config["scrape_configs"].([]any), tenants)
	}, `--prometheus-selector=job="kubernetes-pods",namespace="heteroaccel-exporter"`},
}

// TestThroughPrometheus: what comes through Prometheus is what the exporters
// say, also after a device went or an exporter moved on.
func TestThroughPrometheus(t *testing.T) {
	for name, scraped := range scrapes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g, n := startNode(t, machine.G()), startNode(t, machine.N())
			p := startPrometheus(t, scraped.change, g, n)
			through := source(t, "--prometheus-url="+p.url, scraped.flag)
			direct := source(t, "--exporter-endpoints=http://"+g.address+",http://"+n.address)
			same(t, "both nodes", through, direct)
			scrapes, err := through(t.Context())
			do(t, err)
			if d := scrapes[0].Devices; len(d) != 1 || d[0].Allocated != 1 || len(d[0].Holders) != 1 || d[0].Holders[0].Pod != "face" {
				t.Fatalf("node g has %+v, want a GPU that the pod face holds", d)
			}

			do(t, n.Unplug("1-1"))
			same(t, "a stick that was pulled out", through, direct)
			do(t, n.Plug("1-1"))
			same(t, "a stick that was put in", through, direct)
			g.kubelet.Stop()
			same(t, "a kubelet that is away", through, direct)
			do(t, g.kubelet.Start())
			same(t, "a kubelet that is back", through, direct)
			do(t, g.UseExternally("card0", "blender"))
			same(t, "a process outside Kubernetes", through, direct)
		})
	}
}

// tenant serves a page that says of a node that its devices are unhealthy, in every
// way that a page can name a node, and returns its address.
func tenant(t *testing.T, node string) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for _, labels := range []string{`node="` + node + `"`, `exported_node="` + node + `"`, `node="` + node + `",exported_node="` + node + `"`} {
			fmt.Fprintf(w, "heteroaccel_exporter_info{%s} 1\nheteroaccel_device_healthy{%s,kind=\"GPU\",id=\"0000:00:02.0\"} 0\n", labels, labels)
		}
	}))
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

// TestAge: telemetry is as old as its scrape; it ages and is never taken for new
// once its exporter is away. The rules see that at once, and begin an alert.
func TestAge(t *testing.T) {
	t.Parallel()
	g, n := startNode(t, machine.G()), startNode(t, machine.N())
	p := startPrometheus(t, scrapes["as deploy/prometheus does"].change, g, n)
	through := source(t, "--prometheus-url="+p.url)
	times := func() map[string]time.Time {
		scrapes, err := through(t.Context())
		do(t, err)
		out := map[string]time.Time{}
		for _, s := range scrapes {
			out[s.Node] = s.Time
		}
		return out
	}
	p.ready(t)
	eventually(t, "both nodes", func() string {
		if at := times(); len(at) != 2 {
			return fmt.Sprint(at)
		}
		return ""
	})
	// The age of a scrape every 2 s; a busy computer may be late.
	for at, until := times(), time.Now().Add(6*time.Second); time.Now().Before(until); at = times() {
		if age := time.Since(at["g"]); age < -time.Second || age > 10*time.Second {
			t.Fatalf("telemetry of every 2 s is %s old", age)
		}
	}

	n.process.Kill()
	killed := time.Now()
	// Long before the 5 min for which Prometheus looks back.
	eventually(t, "the rules lose n's metrics", func() string {
		if got := p.query(t, "heteroaccel_exporter_info"); got != `g=1` {
			return got
		}
		if took := time.Since(killed); took > 20*time.Second {
			t.Errorf("that took %s", took)
		}
		return ""
	})
	last := times()["n"]
	if last.After(killed) {
		t.Errorf("node n's telemetry is of %s, its exporter ended at %s", last, killed)
	}
	eventually(t, "n's telemetry is stale, and g's is not", func() string {
		at := times()
		if seen, ok := at["n"]; ok && seen.After(killed) {
			t.Fatalf("node n's telemetry is of %s, its exporter ended at %s", seen, killed)
		}
		if time.Since(at["n"]) < 15*time.Second || time.Since(at["g"]) > 10*time.Second {
			return fmt.Sprint(at)
		}
		return ""
	})
	eventually(t, "an alert begins", func() string {
		if got := p.query(t, `ALERTS{alertname="HeteroAccelExporterDown"}`); got != "n=1" {
			return got
		}
		return ""
	})
	n.start(t)
	eventually(t, "the exporter is back", func() string {
		if at := times(); time.Since(at["n"]) > 5*time.Second {
			return fmt.Sprint(at)
		}
		return ""
	})
}

// TestPrometheusRestarts: while it is away there is an error, and with none of
// its data it knows every node again, from newer scrapes only.
func TestPrometheusRestarts(t *testing.T) {
	t.Parallel()
	g := startNode(t, machine.G())
	p := startPrometheus(t, scrapes["as deploy/prometheus does"].change, g)
	through := source(t, "--prometheus-url="+p.url)
	var last telemetry.Scrape
	newer := func() string {
		scrapes, err := through(t.Context())
		switch {
		case err != nil:
			return err.Error()
		case len(scrapes) == 0:
			return "nothing is known"
		case scrapes[0].Time.Before(last.Time.Add(-time.Second)): // less the clocks' measured difference
			t.Fatalf("a scrape of %s came after one of %s", scrapes[0].Time, last.Time)
		case !scrapes[0].Time.After(last.Time):
			return "no newer scrape"
		}
		last = scrapes[0]
		return ""
	}
	eventually(t, "the first scrape", newer)
	for range 2 {
		p.process.Kill()
		if _, err := through(t.Context()); err == nil {
			t.Error("a Prometheus that is away answered")
		}
		p.start(t)
		eventually(t, "a scrape after a restart", newer)
	}
}
