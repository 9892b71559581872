//go:build cluster

package scraping

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/grafana/grafana-foundation-sdk/go/cog/plugins"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	grafana "github.com/grafana/grafana-foundation-sdk/go/prometheus"

	"heteroaccel.io/e2e/cluster"
	"heteroaccel.io/e2e/machine"
	"heteroaccel.io/e2e/stack"
)

// asked is one query of the dashboard.
type asked struct{ panel, expr string }

// TestDashboard: under the load of the demo every panel has data, by the answers of a
// Prometheus that scrapes as deploy/prometheus does; and so has every variable.
func TestDashboard(t *testing.T) {
	ctx := t.Context()
	queries, variables := dashboardQueries(t)
	if len(queries) < 25 || len(variables) < 4 {
		t.Fatalf("the dashboard has %d queries and %d variables", len(queries), len(variables))
	}
	h := machine.G()
	h.Name = "h"
	s, err := stack.Start(ctx, stack.Config{Machines: append(machine.Paper(), h)})
	do(t, err)
	t.Cleanup(s.Stop)
	do(t, s.InstallConnector(ctx))
	do(t, s.StartConnector(ctx, "connector"))
	exporters := map[string]string{}
	for _, m := range s.Machines {
		exporters[m.Name] = hostOf(t, s.URL("exporter-"+m.Name, ""))
	}
	p := scrape(t, func(config, exporters map[string]any) {
		exporters["scrape_interval"] = "1s"
		exporters["scrape_timeout"] = "1s"
		job := map[string]any{"job_name": "heteroaccel", "scrape_interval": "1s", "scrape_timeout": "1s"}
		var targets []any
		for _, program := range []string{"webhook", "extender", "connector"} {
			targets = append(targets, map[string]any{"targets": []string{hostOf(t, s.URL(program+" status", ""))}, "labels": map[string]string{"program": program}})
		}
		job["static_configs"] = targets
		config["scrape_configs"] = append(config["scrape_configs"].([]any), job)
	}, exporters, "127.0.0.1:1")
	p.ready(t)
	stick := s.Machine("n")
	do(t, stick.SetHealthy(stick.Devices[0].Name, false))
	do(t, h.UseExternally("card0", "blender"))
	counts(t, s.Machine("g"))
	missing := func() string {
		var out []string
		for _, q := range queries {
			if n := p.series(t, q.expr); n == 0 {
				out = append(out, q.panel+": "+q.expr)
			}
		}
		for name, v := range variables {
			if len(p.labelValues(t, v)) == 0 {
				out = append(out, "the variable "+name)
			}
		}
		return strings.Join(out, "\n")
	}
	for i := range 100 {
		load(t, s, i)
		if why := missing(); why == "" {
			return
		} else if i == 99 {
			t.Errorf("no data:\n%s", why)
		}
	}
}

// counts gives the GPU of a machine a counter of the time for which it was idle: the
// machines of the tests have none.
func counts(t *testing.T, m *machine.Machine) {
	t.Helper()
	cards, err := filepath.Glob(filepath.Join(m.Sys(), "devices", "pci*", "*", "drm", "card0"))
	do(t, err)
	for _, card := range cards {
		gt := filepath.Join(card, "gt", "gt0")
		do(t, os.MkdirAll(gt, 0o755))
		do(t, os.WriteFile(filepath.Join(gt, "rc6_residency_ms"), []byte("1000\n"), 0o644))
	}
	if len(cards) != 1 {
		t.Fatalf("machine %s has %d cards", m.Name, len(cards))
	}
}

// load is a round of the demo's load: a session, pods that run and that wait, a server, and
// one that is denied.
func load(t *testing.T, s *stack.Stack, i int) {
	t.Helper()
	resp, err := http.Post(s.URL("connector", "/v1/sessions"), "application/json", strings.NewReader(`{"inference": "face-recognition"}`))
	do(t, err)
	resp.Body.Close()
	root, err := cluster.Root()
	do(t, err)
	// What another round created goes, and its devices with it.
	for _, args := range [][]string{
		{"delete", "namespace", "--wait=false", "--ignore-not-found", fmt.Sprint("round-", i-2)},
		{"create", "namespace", fmt.Sprint("round-", i)},
		{"-n", fmt.Sprint("round-", i), "create", "-f", filepath.Join(root, "deploy", "examples", "any-accelerator.yaml"), "-f", filepath.Join(root, "deploy", "examples", "gpu-or-npu.yaml"), "-f", filepath.Join(root, "deploy", "examples", "server.yaml")},
	} {
		_, err := s.Kubectl(t.Context(), args...)
		do(t, err)
	}
	if _, err := s.Kubectl(t.Context(), "run", "typo", "--image=any", "--restart=Never", "--annotations=heteroaccel.io/inference=face-recogniton", "--annotations=heteroaccel.io/accelerator=any"); err == nil {
		t.Fatal("a pod of an inference that there is not was created")
	}
}

// dashboardQueries are the queries of the panels, with everything selected, and those of
// the variables.
func dashboardQueries(t *testing.T) (queries []asked, variables map[string]string) {
	t.Helper()
	root, err := cluster.Root()
	do(t, err)
	text, err := os.ReadFile(filepath.Join(root, "deploy", "grafana", "heteroaccel.json"))
	do(t, err)
	plugins.RegisterDefaultPlugins()
	//lint:ignore SA1019 Grafana before 13 reads no other schema from a file
	var d dashboard.Dashboard
	do(t, json.Unmarshal(text, &d))
	variables = map[string]string{}
	// A query that answers 0 where there is no series is asked for the series, and an alert
	// that waits out its time will do.
	replace := []string{"$__rate_interval", "1m", " or vector(0)", "", `alertstate="firing"`, `alertstate!=""`}
	for _, v := range d.Templating.List {
		if v.Type == dashboard.VariableTypeQuery {
			variables[v.Name] = *v.Query.String
			replace = append(replace, "$"+v.Name, *v.AllValue)
		}
	}
	for _, p := range d.Panels {
		if p.Panel == nil {
			continue
		}
		for _, target := range p.Panel.Targets {
			q := target.(*grafana.Dataquery)
			queries = append(queries, asked{*p.Panel.Title, strings.NewReplacer(replace...).Replace(q.Expr)})
		}
	}
	return queries, variables
}

// hostOf is host and port of a URL.
func hostOf(t *testing.T, address string) string {
	t.Helper()
	u, err := url.Parse(address)
	do(t, err)
	return u.Host
}
