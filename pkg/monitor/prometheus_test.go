package monitor

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/telemetry"
)

func TestPrometheusKeepsTheNewestScrapeOfEachNode(t *testing.T) {
	now := time.Now().Truncate(time.Millisecond)
	at := func(ago time.Duration) time.Time { return now.Add(-ago) }
	timed := func(s telemetry.Scrape, ago time.Duration) telemetry.Scrape { s.Time = at(ago); return s }
	bare := func(node string) telemetry.Scrape { return telemetry.Scrape{Node: node, CPUCores: 4, CPUBusy: 1} }

	shipped := func(p *server, s telemetry.Scrape, address string, ago time.Duration) []*stored {
		return p.scraped(s, asShipped(s.Node, address), at(ago))
	}
	for name, tc := range map[string]struct {
		fill func(p *server)
		want []telemetry.Scrape
	}{
		"two nodes, each with its own time": {
			func(p *server) {
				shipped(p, gpu("g", 1), "a", time.Second)
				shipped(p, gpu("f", -1), "b", 40*time.Second)
			},
			[]telemetry.Scrape{timed(gpu("f", -1), 40*time.Second), timed(gpu("g", 1), time.Second)},
		},
		"a device pulled out is in older scrapes only": {
			func(p *server) {
				shipped(p, gpu("g", 1), "a", 4*time.Second)
				shipped(p, bare("g"), "a", time.Second)
			},
			[]telemetry.Scrape{timed(bare("g"), time.Second)},
		},
		"an exporter that moved": {
			func(p *server) {
				for _, s := range shipped(p, gpu("g", 0), "old", 5*time.Second) {
					s.gone = at(3 * time.Second)
				}
				shipped(p, gpu("g", 1), "new", 2*time.Second)
			},
			[]telemetry.Scrape{timed(gpu("g", 1), 2*time.Second)},
		},
		"an exporter that moved, where nobody marks what is gone": {
			func(p *server) {
				shipped(p, gpu("g", 0), "old", 13*time.Second)
				shipped(p, gpu("g", 1), "new", 2*time.Second)
			},
			[]telemetry.Scrape{timed(gpu("g", 1), 2*time.Second)},
		},
		"scraped long ago": {func(p *server) { shipped(p, gpu("g", 0), "a", 2*time.Minute) }, nil},
		"nothing scraped":  {func(*server) {}, nil},
		"a holder, by whatever labels the target has": {
			func(p *server) {
				s := gpu("g", 1)
				s.Devices[0].Holders = []accel.Holder{{Namespace: "default", Pod: "face", Container: "main", Slots: 1}}
				shipped(p, s, "a", time.Second)
			},
			[]telemetry.Scrape{func() telemetry.Scrape {
				s := timed(gpu("g", 1), time.Second)
				s.Devices[0].Holders = []accel.Holder{{Namespace: "default", Pod: "face", Container: "main", Slots: 1}}
				return s
			}()},
		},
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

func TestPrometheusClockAheadOfOurs(t *testing.T) {
	const ahead = time.Hour
	p := &server{now: time.Now().Add(ahead)}
	p.scraped(gpu("g", 1), asShipped("g", "a"), p.now.Add(-3*time.Second))
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
	p.scraped(gpu("g", 1), asShipped("g", "a"), p.now)
	s := serve(t, p)
	source, err := Prometheus(s.URL+"/prefix", DefaultSelector, s.Client())
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
	p.scraped(gpu("g", 1), asShipped("g", "a"), p.now)
	broken := gpu("f", 9) // 9 of 4 slots
	p.scraped(broken, asShipped("f", "b"), p.now)
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
	// broken answers the time, and the queries for exporters and for series as given.
	broken := func(vector, matrix string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			switch query := r.PostFormValue("query"); {
			case query == "time()":
				reply(w, "scalar", []any{1700000000, "1700000000"})
			case strings.HasPrefix(query, "timestamp"):
				fmt.Fprintf(w, `{"status":"success","data":%s}`, vector)
			default:
				fmt.Fprintf(w, `{"status":"success","data":%s}`, matrix)
			}
		}
	}
	const one = `{"resultType":"vector","result":[{"metric":{"node":"g","exported_node":"g"},"value":[1700000000,"1700000000"]}]}`
	for name, tc := range map[string]struct {
		handler http.HandlerFunc
		want    string
	}{
		"refused":         {body(400, `{"status":"error","errorType":"bad_data","error":"parse error"}`), "bad_data: parse error"},
		"overloaded":      {body(503, `{"status":"error","errorType":"timeout","error":"query timed out"}`), "query timed out"},
		"not ready":       {body(503, "Service Unavailable"), "503"},
		"proxy's page":    {body(200, "<html>log in</html>"), "not an answer of Prometheus"},
		"empty":           {body(200, ""), "not an answer of Prometheus"},
		"no time":         {body(200, `{"status":"success","data":{"resultType":"vector","result":[]}}`), `"vector", want scalar`},
		"another type":    {broken(`{"resultType":"matrix","result":[]}`, ``), `"matrix", want vector`},
		"vector of words": {broken(`{"resultType":"vector","result":"none"}`, ``), "decode vector"},
		"no value":        {broken(`{"resultType":"vector","result":[{"metric":{},"value":[1]}]}`, ``), "decode vector"},
		"not a matrix":    {broken(one, `{"resultType":"vector","result":[]}`), `"vector", want matrix`},
		"no samples":      {broken(one, `{"resultType":"matrix","result":[{"metric":{},"values":[]}]}`), "without samples"},
		"broken sample":   {broken(one, `{"resultType":"matrix","result":[{"metric":{},"values":[[1,2]]}]}`), "decode matrix"},
		"point too long":  {broken(one, `{"resultType":"matrix","result":[{"metric":{},"values":[["x","1"]]}]}`), "decode matrix"},
		"huge time":       {broken(one, `{"resultType":"matrix","result":[{"metric":{},"values":[[1e300,"1"]]}]}`), "is not a time"},
		"matrix of words": {broken(one, `{"resultType":"matrix","result":"none"}`), "decode matrix"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := ask(t, tc.handler)
			if err == nil || !strings.Contains(err.Error(), tc.want) || len(got) > 0 {
				t.Errorf("got %v, error %v, want one that says %q", got, err, tc.want)
			}
		})
	}
}

func TestPrometheusStopsWithItsContext(t *testing.T) {
	s := serve(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		// A server sees its client go only once the body has been read.
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	}))
	source, err := Prometheus(s.URL, DefaultSelector, s.Client())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := source(ctx); err == nil {
		t.Error("no error although the context ended")
	}
}
