package monitor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"heteroaccel.io/pkg/telemetry"
)

const (
	// queryLimit is how many bytes Prometheus' answer may have.
	queryLimit = 256 << 20
	// window is how far back Prometheus is asked to look. It must be longer
	// than a scrape interval; older samples would be stale anyway.
	window = "1m"
	// skewStep is by how much the measured difference of the clocks must
	// change before it is believed, so that a sample keeps its time from one
	// round to the next.
	skewStep = 250 * time.Millisecond
)

// Prometheus returns a source that asks a Prometheus server, at an address such
// as http://prometheus:9090, for all the exporters that it scrapes.
//
// A sample's Time is when Prometheus scraped it, by our clock. Only the series
// of a node's newest scrape count: what was not in it is gone.
func Prometheus(server string, client *http.Client) (Source, error) {
	u, err := url.Parse(strings.TrimSpace(server))
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return nil, fmt.Errorf("%q is not a Prometheus server: write http://HOST:9090", server)
	}
	p := &prometheusSource{api: u.JoinPath("api/v1/query").String(), client: client, query: contractQuery()}
	return p.fetch, nil
}

// contractQuery selects the last raw samples of every metric of the contract,
// and of no other of ours: the monitor's own metrics have a node too.
func contractQuery() string {
	metrics := telemetry.Metrics()
	names := make([]string, len(metrics))
	for i, m := range metrics {
		names[i] = m.Name
	}
	return fmt.Sprintf(`{__name__=~"%s"}[%s]`, strings.Join(names, "|"), window)
}

type prometheusSource struct {
	api, query string
	client     *http.Client

	mu   sync.Mutex
	skew time.Duration // our clock less Prometheus'
}

// fetch is the Source.
func (p *prometheusSource) fetch(ctx context.Context) ([]telemetry.Scrape, error) {
	errSkew := p.measureSkew(ctx)
	series, err := p.ask(ctx, p.query)
	if err != nil {
		return nil, err
	}
	groups := lastScrapes(series)
	var samples []telemetry.Scrape
	errs := []error{errSkew}
	for _, g := range groups {
		sample, err := telemetry.Decode(g.series, p.local(g.millis))
		if err != nil {
			errs = append(errs, fmt.Errorf("report of node %s in Prometheus: %w", g.node, err))
			continue
		}
		samples = append(samples, sample)
	}
	return newest(samples), errors.Join(errs...)
}

// local is a time of Prometheus' clock by ours.
func (p *prometheusSource) local(millis int64) time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return time.UnixMilli(millis).Add(p.skew)
}

// measureSkew compares Prometheus' clock with ours. When it cannot, what was
// measured before stands.
func (p *prometheusSource) measureSkew(ctx context.Context) error {
	before := time.Now()
	result, err := p.post(ctx, "time()")
	if err != nil {
		return err
	}
	after := time.Now()
	theirs, err := result.scalar()
	if err != nil {
		return fmt.Errorf("ask Prometheus for its time: %w", err)
	}
	trip := after.Sub(before)
	measured := before.Add(trip / 2).Sub(time.UnixMilli(theirs))
	p.mu.Lock()
	defer p.mu.Unlock()
	if (measured - p.skew).Abs() > trip/2+skewStep {
		p.skew = measured
	}
	return nil
}

// ask runs an instant query whose result is a matrix.
func (p *prometheusSource) ask(ctx context.Context, query string) ([]rangeSeries, error) {
	result, err := p.post(ctx, query)
	if err != nil {
		return nil, err
	}
	series, err := result.matrix()
	if err != nil {
		return nil, fmt.Errorf("ask Prometheus: %w", err)
	}
	return series, nil
}

// post sends a query; POST, because it outgrows what a URL may have.
func (p *prometheusSource) post(ctx context.Context, query string) (result, error) {
	form := url.Values{"query": {query}}.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.api, strings.NewReader(form))
	if err != nil {
		return result{}, fmt.Errorf("ask Prometheus: %w", err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "application/json")
	resp, err := p.client.Do(req)
	if err != nil {
		return result{}, fmt.Errorf("ask Prometheus: %w", err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(limit(resp.Body, queryLimit))
	if err != nil {
		return result{}, fmt.Errorf("ask Prometheus: read its answer: %w", err)
	}
	r, err := parseAnswer(body)
	switch {
	case resp.StatusCode != http.StatusOK && err == nil:
		return result{}, fmt.Errorf("ask Prometheus: the answer is %s", resp.Status)
	case resp.StatusCode != http.StatusOK:
		return result{}, fmt.Errorf("ask Prometheus: the answer is %s: %w", resp.Status, err)
	case err != nil:
		return result{}, fmt.Errorf("ask Prometheus: %w", err)
	}
	return r, nil
}
