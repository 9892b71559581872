package conventions

import (
	"go/ast"
	"go/token"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// metricsPage is the reference of the programs' metrics.
const metricsPage = "docs/metrics.md"

var metricName = regexp.MustCompile(`heteroaccel_[a-z0-9_]*[a-z0-9]`)

// TestMetricsPage: the page has every metric that the programs' code names,
// and no other. That these are the ones which the programs serve is tested on
// a running installation.
func TestMetricsPage(t *testing.T) {
	code := map[string]string{}
	for _, s := range sources(t) {
		folder, _, _ := strings.Cut(s.path, "/")
		if !slices.Contains([]string{"webhook", "extender", "exporter", "connector", "pkg"}, folder) || strings.HasSuffix(s.path, "_test.go") {
			continue
		}
		ast.Inspect(s.File, func(n ast.Node) bool {
			lit, ok := n.(*ast.BasicLit)
			if !ok || lit.Kind != token.STRING {
				return true
			}
			if text, err := strconv.Unquote(lit.Value); err == nil && metricName.FindString(text) == text && text != "" {
				code[text] = s.path
			}
			return true
		})
	}
	if len(code) < 20 {
		t.Fatalf("the code names only %d metrics", len(code))
	}
	page := map[string]bool{}
	for _, name := range metricName.FindAllString(read(t, metricsPage), -1) {
		page[name] = true
	}
	for name, path := range code {
		if !page[name] {
			t.Errorf("%s does not have %s, of %s", metricsPage, name, path)
		}
	}
	for name := range page {
		if code[name] == "" && code[seriesSuffix.ReplaceAllString(name, "")] == "" {
			t.Errorf("%s has %s, which no program has", metricsPage, name)
		}
	}
}

// seriesSuffix ends the names of a histogram's series.
var seriesSuffix = regexp.MustCompile(`_(bucket|sum|count)$`)
