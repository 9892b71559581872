package main

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/grafana/grafana-foundation-sdk/go/cog/plugins"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
)

// TestCurrent: what is committed is what would be generated, and Grafana's schema knows
// every field of it.
func TestCurrent(t *testing.T) {
	want, err := dashboardJSON()
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile("../../../" + path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s: run make generate (-want +got):\n%s", path, diff)
	}
	if why := breaks(t, string(got)); why != "" {
		t.Errorf("Grafana's schema: %s", why)
	}
}

// breaks says where a dashboard is not as Grafana's schema has it, "" for nowhere.
func breaks(t *testing.T, text string) string {
	t.Helper()
	plugins.RegisterDefaultPlugins()
	//lint:ignore SA1019 Grafana before 13 reads no other schema from a file
	var strict, d dashboard.Dashboard
	// What it returns is never nil: without a fault it is an empty list of them.
	if err := strict.UnmarshalJSONStrict([]byte(text)); err != nil && err.Error() != "" {
		return err.Error()
	}
	if err := json.Unmarshal([]byte(text), &d); err != nil {
		return err.Error()
	}
	if err := d.Validate(); err != nil {
		return err.Error()
	}
	if n := strings.Count(text, `"gridPos"`); len(d.Panels) != n {
		t.Errorf("%d panels were read of %d", len(d.Panels), n)
	}
	return ""
}

// TestStrict: the schema would find a field that Grafana does not know.
func TestStrict(t *testing.T) {
	text, err := dashboardJSON()
	if err != nil {
		t.Fatal(err)
	}
	for _, wrong := range []struct{ old, new string }{
		{`"refresh":`, `"refersh":`}, {`"legendFormat":`, `"legend":`}, {`"unit": "percentunit"`, `"unit": 1`}, {`"graphTooltip": 1`, `"graphTooltip": "crosshair"`},
	} {
		if !strings.Contains(string(text), wrong.old) {
			t.Errorf("the dashboard has no %s", wrong.old)
		}
		if breaks(t, strings.Replace(string(text), wrong.old, wrong.new, 1)) == "" {
			t.Errorf("%s was taken", wrong.new)
		}
	}
}

// TestPanels: each has a title of its own and says what it shows, and its neighbours fill
// the row.
func TestPanels(t *testing.T) {
	titles := map[string]bool{}
	for _, r := range rows {
		width := uint32(0)
		for _, p := range r.panels {
			if p.title == "" || p.about == "" || titles[p.title] || len(p.queries) == 0 {
				t.Errorf("%s: the panel %q has no title of its own, no description or no query", r.title, p.title)
			}
			titles[p.title] = true
			if width += p.width; width > 24 {
				t.Errorf("%s: the panel %q reaches beyond the 24 columns of a row", r.title, p.title)
			}
			width %= 24
		}
		if width != 0 {
			t.Errorf("%s: the last row of panels is not filled: %d columns of 24", r.title, width)
		}
	}
}

// TestVariables: each selects something.
func TestVariables(t *testing.T) {
	text, err := dashboardJSON()
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range variables {
		if !strings.Contains(string(text), `\"$`+v.name) {
			t.Errorf("no query has $%s", v.name)
		}
	}
}
