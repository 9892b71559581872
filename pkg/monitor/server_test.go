package monitor

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"heteroaccel.io/pkg/telemetry"
)

// server answers like Prometheus' API, with series that a test gives: as much of
// PromQL as the source uses.
type server struct {
	now    time.Time
	series []*stored
	// larger is by how many bytes each answer about a node is larger.
	larger map[string]int
	// queries counts the queries of series.
	queries int
}

// stored is a series with its samples.
type stored struct {
	labels map[string]string
	at     []time.Time
	values []float64
	// gone is when Prometheus marked it stale, zero if it did not.
	gone time.Time
}

// asShipped are the labels of a target as deploy/prometheus relabels it.
func asShipped(node, address string) map[string]string {
	return map[string]string{
		"job": "heteroaccel-exporter", "instance": address, "node": node,
		"namespace": "heteroaccel-exporter", "pod": "heteroaccel-exporter-" + address, "container": "exporter",
	}
}

// scraped adds a scrape of a target with the given labels at a time, and other
// values 2 s before. A page's label that the target has is renamed, as without
// honor_labels.
func (p *server) scraped(s telemetry.Scrape, target map[string]string, at time.Time) []*stored {
	var added []*stored
	for _, one := range telemetry.Encode(s) {
		labels := map[string]string{"__name__": one.Name}
		for k, v := range one.Labels {
			if _, taken := target[k]; taken {
				k = "exported_" + k
			}
			if v != "" {
				labels[k] = v
			}
		}
		maps.Copy(labels, target)
		added = append(added, p.add(labels, at, one.Value))
	}
	return added
}

// add adds samples to the series of the labels: 0 at 2 s before, and a value.
func (p *server) add(labels map[string]string, at time.Time, value float64) *stored {
	i := slices.IndexFunc(p.series, func(s *stored) bool { return maps.Equal(s.labels, labels) })
	if i < 0 {
		p.series, i = append(p.series, &stored{labels: labels}), len(p.series)
	}
	s := p.series[i]
	s.at, s.values = append(s.at, at.Add(-2*time.Second), at), append(s.values, 0, value)
	return s
}

func seconds(at time.Time) json.Number {
	return json.Number(fmt.Sprintf("%d.%03d", at.Unix(), at.Nanosecond()/1e6))
}

var (
	timestampQuery = regexp.MustCompile(`^timestamp\((\w+)\{(.*)\}\)$`)
	rangeOfQuery   = regexp.MustCompile(`^\{(.*)\}\[(\d+)ms\]$`)
	matcherOfQuery = regexp.MustCompile(`(\w+)(=~|=)("(?:[^"\\]|\\.)*")`)
)

// selection returns what tells whether matchers select a series.
func selection(matchers string) func(labels map[string]string) bool {
	var all []func(labels map[string]string) bool
	for _, m := range matcherOfQuery.FindAllStringSubmatch(matchers, -1) {
		value, err := strconv.Unquote(m[3])
		if err != nil {
			panic(err)
		}
		if m[2] == "=" {
			all = append(all, func(labels map[string]string) bool { return labels[m[1]] == value })
			continue
		}
		pattern := regexp.MustCompile("^(?:" + value + ")$")
		all = append(all, func(labels map[string]string) bool { return pattern.MatchString(labels[m[1]]) })
	}
	return func(labels map[string]string) bool {
		for _, one := range all {
			if !one(labels) {
				return false
			}
		}
		return true
	}
}

func (p *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost || r.URL.Path != "/prefix/api/v1/query" {
		http.NotFound(w, r)
		return
	}
	now, query := p.now, r.PostFormValue("query")
	if at, err := strconv.ParseFloat(r.PostFormValue("time"), 64); err == nil {
		now = time.UnixMilli(int64(at * 1000))
	}
	kind, result := "matrix", []map[string]any{}
	switch m, n := timestampQuery.FindStringSubmatch(query), rangeOfQuery.FindStringSubmatch(query); {
	case query == "time()":
		reply(w, "scalar", []any{seconds(p.now), string(seconds(p.now))})
		return
	case m != nil:
		kind = "vector"
		selects := selection(m[2])
		for _, s := range p.series {
			last := s.at[len(s.at)-1]
			if s.labels["__name__"] != m[1] || !selects(s.labels) || !s.gone.IsZero() || now.Sub(last) > 5*time.Minute {
				continue
			}
			labels := maps.Clone(s.labels)
			delete(labels, "__name__")
			result = append(result, map[string]any{"metric": labels, "value": []any{seconds(now), string(seconds(last))}})
		}
	case n != nil:
		p.queries++
		selects := selection(n[1])
		behind, _ := strconv.Atoi(n[2])
		for _, s := range p.series {
			var values []any
			for i, at := range s.at {
				if now.Sub(at) < time.Duration(behind)*time.Millisecond && !at.After(now.Add(time.Millisecond)) {
					values = append(values, []any{seconds(at), fmt.Sprint(s.values[i])})
				}
			}
			if len(values) > 0 && selects(s.labels) {
				result = append(result, map[string]any{"metric": s.labels, "values": values, "padding": strings.Repeat("x", p.larger[s.labels["node"]])})
			}
		}
	default:
		http.Error(w, `{"status":"error","errorType":"bad_data","error":"unexpected query"}`, http.StatusBadRequest)
		return
	}
	reply(w, kind, result)
}

func reply(w http.ResponseWriter, kind string, result any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"status": "success", "data": map[string]any{"resultType": kind, "result": result}})
}

// ask queries the server once, with the default selector.
func ask(t *testing.T, h http.Handler) ([]telemetry.Scrape, error) {
	t.Helper()
	return askFor(t, h, DefaultSelector)
}

func askFor(t *testing.T, h http.Handler, selector string) ([]telemetry.Scrape, error) {
	t.Helper()
	s := serve(t, h)
	source, err := Prometheus(s.URL+"/prefix", selector, s.Client())
	if err != nil {
		t.Fatal(err)
	}
	scrapes, err := source(t.Context())
	return byNode(scrapes), err
}
