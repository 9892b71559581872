package monitor

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"heteroaccel.io/pkg/telemetry"
)

// server answers like Prometheus' API, with series that a test gives.
type server struct {
	now    time.Time
	matrix []map[string]any
}

// scraped adds a scrape of a Prometheus target at a time, and other values 2 s
// before.
func (p *server) scraped(s telemetry.Scrape, instance string, at time.Time) {
	for _, one := range telemetry.Encode(s) {
		labels := map[string]string{"__name__": one.Name, "job": "exporter", "instance": instance}
		for k, v := range one.Labels {
			if v != "" {
				labels[k] = v
			}
		}
		p.matrix = append(p.matrix, map[string]any{"metric": labels, "values": []any{
			[]any{seconds(at.Add(-2 * time.Second)), "0"},
			[]any{seconds(at), fmt.Sprint(one.Value)},
		}})
	}
}

func seconds(at time.Time) json.Number {
	return json.Number(fmt.Sprintf("%d.%03d", at.Unix(), at.Nanosecond()/1e6))
}

func (p *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost || r.URL.Path != "/prefix/api/v1/query" {
		http.NotFound(w, r)
		return
	}
	data := map[string]any{"resultType": "matrix", "result": p.matrix}
	switch query := r.PostFormValue("query"); {
	case query == "time()":
		data = map[string]any{"resultType": "scalar", "result": []any{seconds(p.now), string(seconds(p.now))}}
	case !strings.HasSuffix(query, "[1m]"):
		http.Error(w, `{"status":"error","errorType":"bad_data","error":"unexpected query"}`, http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"status": "success", "data": data})
}

// ask queries the server once.
func ask(t *testing.T, h http.Handler) ([]telemetry.Scrape, error) {
	t.Helper()
	s := serve(t, h)
	source, err := Prometheus(s.URL+"/prefix", s.Client())
	if err != nil {
		t.Fatal(err)
	}
	scrapes, err := source(t.Context())
	return byNode(scrapes), err
}

func TestPrometheusKeepsTheNewestScrapeOfEachNode(t *testing.T) {
	now := time.Now().Truncate(time.Millisecond)
	at := func(ago time.Duration) time.Time { return now.Add(-ago) }
	timed := func(s telemetry.Scrape, ago time.Duration) telemetry.Scrape { s.Time = at(ago); return s }
	bare := func(node string) telemetry.Scrape { return telemetry.Scrape{Node: node, CPUCores: 4, CPUBusy: 1} }

	for name, tc := range map[string]struct {
		fill func(p *server)
		want []telemetry.Scrape
	}{
		"two nodes, each with its own time": {
			func(p *server) {
				p.scraped(gpu("g", 1), "a", at(time.Second))
				p.scraped(gpu("f", -1), "b", at(40*time.Second))
			},
			[]telemetry.Scrape{timed(gpu("f", -1), 40*time.Second), timed(gpu("g", 1), time.Second)},
		},
		"a device pulled out is in older scrapes only": {
			func(p *server) {
				p.scraped(gpu("g", 1), "a", at(4*time.Second))
				old := len(p.matrix)
				p.scraped(bare("g"), "a", at(time.Second))
				// One series has both samples, as in Prometheus.
				p.matrix = append(p.matrix[:0], dropRepeated(p.matrix[:old], p.matrix[old:])...)
			},
			[]telemetry.Scrape{timed(bare("g"), time.Second)},
		},
		"an exporter that moved: its newest target counts": {
			func(p *server) {
				p.scraped(gpu("g", 0), "old", at(20*time.Second))
				p.scraped(gpu("g", 1), "new", at(2*time.Second))
			},
			[]telemetry.Scrape{timed(gpu("g", 1), 2*time.Second)},
		},
		"two targets in the same millisecond: always the same one": {
			func(p *server) {
				p.scraped(gpu("g", 2), "b", at(time.Second))
				p.scraped(gpu("g", 1), "a", at(time.Second))
			},
			[]telemetry.Scrape{timed(gpu("g", 1), time.Second)},
		},
		"nothing scraped": {func(*server) {}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			p := &server{now: time.Now()}
			tc.fill(p)
			got, err := ask(t, p)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

// dropRepeated returns the older series that are not among the newer, and all
// the newer.
func dropRepeated(older, newer []map[string]any) []map[string]any {
	var out []map[string]any
	for _, o := range older {
		again := false
		for _, n := range newer {
			again = again || maps.Equal(o["metric"].(map[string]string), n["metric"].(map[string]string))
		}
		if !again {
			out = append(out, o)
		}
	}
	return append(out, newer...)
}

func TestPrometheusClockAheadOfOurs(t *testing.T) {
	const ahead = time.Hour
	p := &server{now: time.Now().Add(ahead)}
	p.scraped(gpu("g", 1), "a", p.now.Add(-3*time.Second))
	got, err := ask(t, p)
	if err != nil || len(got) != 1 {
		t.Fatalf("got %v, %v", got, err)
	}
	if age := time.Since(got[0].Time); age < 3*time.Second || age > 10*time.Second {
		t.Errorf("age %s, want about 3 s", age)
	}
}

func TestPrometheusScrapeKeepsItsTimeFromRoundToRound(t *testing.T) {
	p := &server{now: time.Now().Add(-time.Hour)}
	p.scraped(gpu("g", 1), "a", p.now)
	s := serve(t, p)
	source, err := Prometheus(s.URL+"/prefix", s.Client())
	if err != nil {
		t.Fatal(err)
	}
	var times []time.Time
	for range 3 {
		got, err := source(t.Context())
		if err != nil || len(got) != 1 {
			t.Fatalf("got %v, %v", got, err)
		}
		times = append(times, got[0].Time)
	}
	if !times[0].Equal(times[1]) || !times[1].Equal(times[2]) {
		t.Errorf("the same scrape at %v", times)
	}
}

func TestPrometheusReportsOneBrokenNodeAndKeepsTheOthers(t *testing.T) {
	p := &server{now: time.Now()}
	p.scraped(gpu("g", 1), "a", p.now)
	broken := gpu("f", 9) // 9 of 4 slots
	p.scraped(broken, "b", p.now)
	got, err := ask(t, p)
	if err == nil || !strings.Contains(err.Error(), "node f") {
		t.Errorf("error %v, want one that names f", err)
	}
	if diff := cmp.Diff([]telemetry.Scrape{gpu("g", 1)}, got, ignoreTime); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestPrometheusAnswersThatCannotBeUsed(t *testing.T) {
	body := func(status int, text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			fmt.Fprint(w, text)
		}
	}
	for name, tc := range map[string]struct {
		handler http.HandlerFunc
		want    string
	}{
		"refused":         {body(400, `{"status":"error","errorType":"bad_data","error":"parse error"}`), "bad_data: parse error"},
		"overloaded":      {body(503, `{"status":"error","errorType":"timeout","error":"query timed out"}`), "query timed out"},
		"not ready":       {body(503, "Service Unavailable"), "503"},
		"proxy's page":    {body(200, "<html>log in</html>"), "not an answer of Prometheus"},
		"empty":           {body(200, ""), "not an answer of Prometheus"},
		"another type":    {body(200, `{"status":"success","data":{"resultType":"vector","result":[]}}`), `"vector"`},
		"no samples":      {body(200, `{"status":"success","data":{"resultType":"matrix","result":[{"metric":{},"values":[]}]}}`), "without samples"},
		"broken sample":   {body(200, `{"status":"success","data":{"resultType":"matrix","result":[{"metric":{},"values":[[1,2]]}]}}`), "decode matrix"},
		"point too long":  {body(200, `{"status":"success","data":{"resultType":"matrix","result":[{"metric":{},"values":[["x","1"]]}]}}`), "decode matrix"},
		"huge time":       {body(200, `{"status":"success","data":{"resultType":"matrix","result":[{"metric":{},"values":[[1e300,"1"]]}]}}`), "is not a time"},
		"matrix of words": {body(200, `{"status":"success","data":{"resultType":"matrix","result":"none"}}`), "decode matrix"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := ask(t, tc.handler)
			if err == nil || !strings.Contains(err.Error(), tc.want) || len(got) > 0 {
				t.Errorf("got %v, error %v, want one that says %q", got, err, tc.want)
			}
		})
	}
}

func TestLimitTellsAnEndFromAnExcess(t *testing.T) {
	for size, fits := range map[int]bool{0: true, 9: true, 10: true, 11: false, 5000: false} {
		_, err := io.ReadAll(limit(strings.NewReader(strings.Repeat("x", size)), 10))
		if (err == nil) != fits {
			t.Errorf("%d bytes of 10: %v", size, err)
		}
	}
}

func TestPrometheusStopsWithItsContext(t *testing.T) {
	s := serve(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		// A server sees its client go only once the body has been read.
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	}))
	source, err := Prometheus(s.URL, s.Client())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := source(ctx); err == nil {
		t.Error("no error although the context ended")
	}
}
