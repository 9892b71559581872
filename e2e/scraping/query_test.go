//go:build cluster

package scraping

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

// query returns the result of an instant query, as "node=value" in order.
func (p *prometheus) query(t *testing.T, expression string) string {
	t.Helper()
	resp, err := http.Get(p.url + "/api/v1/query?query=" + url.QueryEscape(expression))
	do(t, err)
	defer resp.Body.Close()
	var answer struct {
		Data struct {
			Result []struct {
				Metric map[string]string
				Value  []any
			}
		}
	}
	do(t, json.NewDecoder(resp.Body).Decode(&answer))
	var out []string
	for _, series := range answer.Data.Result {
		out = append(out, fmt.Sprintf("%s=%v", series.Metric["node"], series.Value[1]))
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

// ready waits until the server answers queries.
func (p *prometheus) ready(t *testing.T) {
	t.Helper()
	eventually(t, "Prometheus is ready", func() string {
		resp, err := http.Get(p.url + "/-/ready")
		if err != nil {
			return err.Error()
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return resp.Status
		}
		return ""
	})
}

// series is how many series a query has now.
func (p *prometheus) series(t *testing.T, expression string) int {
	t.Helper()
	var answer struct {
		Status, Error string
		Data          struct{ Result []json.RawMessage }
	}
	p.get(t, "/api/v1/query?query="+url.QueryEscape(expression), &answer)
	if answer.Status != "success" {
		t.Fatalf("%s: %s", expression, answer.Error)
	}
	return len(answer.Data.Result)
}

// labelValues are what Grafana offers for a variable: label_values(metric, label).
func (p *prometheus) labelValues(t *testing.T, query string) []string {
	t.Helper()
	inner, ok := strings.CutPrefix(query, "label_values(")
	metric, label, found := strings.Cut(strings.TrimSuffix(inner, ")"), ", ")
	if !ok || !found {
		t.Fatalf("the query of a variable is %s", query)
	}
	var answer struct{ Data []string }
	p.get(t, "/api/v1/label/"+label+"/values?match[]="+url.QueryEscape(metric), &answer)
	slices.Sort(answer.Data)
	return answer.Data
}

// get reads what Prometheus answers.
func (p *prometheus) get(t *testing.T, path string, answer any) {
	t.Helper()
	client := http.Client{Timeout: 30 * time.Second}
	resp, err := client.Get(p.url + path)
	do(t, err)
	defer resp.Body.Close()
	do(t, json.NewDecoder(resp.Body).Decode(answer))
}
