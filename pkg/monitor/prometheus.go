package monitor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"heteroaccel.io/pkg/telemetry"
)

const (
	// answerLimit is the maximum size of one answer of Prometheus, in bytes,
	// unpacked: 26,000 exporters' names and times fit. Decoding it takes five
	// times as much.
	answerLimit = 8 << 20
	// skewStep is by how much the measured difference of the clocks must
	// change before it is accepted, so that a scrape keeps its time from one
	// round to the next.
	skewStep = 250 * time.Millisecond
)

// Prometheus returns a source that queries a Prometheus server, at an address
// such as http://prometheus:9090, for all exporters that it scrapes: those whose
// series have the labels of selector, such as DefaultSelector.
//
// A page speaks for the node that Prometheus' relabelling gives its target as the
// label node. If it says another name, or several targets have the same node at
// the same time, the error has a *Conflict and no scrape of the node is returned.
//
// A scrape's Time is when Prometheus made it, by our clock. Only the series of a
// node's newest scrape count: what was not in it is gone.
func Prometheus(server, selector string, client *http.Client) (Source, error) {
	p, err := newPrometheus(server, selector, client)
	if err != nil {
		return nil, err
	}
	return p.fetch, nil
}

func newPrometheus(server, selector string, client *http.Client) (*prometheusSource, error) {
	u, err := url.Parse(strings.TrimSpace(server))
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return nil, fmt.Errorf("%q is not a Prometheus server: write http://HOST:9090", server)
	}
	if selector, err = parseSelector(selector); err != nil {
		return nil, err
	}
	return &prometheusSource{api: u.JoinPath("api/v1/query").String(), selector: selector, client: client}, nil
}

// prometheusSource queries the HTTP API itself, not through client_golang's
// api/prometheus/v1, which parses all samples of a range, of which only the last
// counts, and has no limit of its own.
//
// It asks first which exporters there are and when each was scraped, then for the
// series of some nodes after another, so that neither a large cluster nor one
// exporter with many series makes an answer large.
type prometheusSource struct {
	api, selector string
	client        *http.Client

	mu   sync.Mutex
	skew time.Duration // our clock less Prometheus'
}

// fetch is the Source.
func (p *prometheusSource) fetch(ctx context.Context) ([]telemetry.Scrape, error) {
	now, err := p.time(ctx)
	if err != nil {
		return nil, err
	}
	// A node that was not scraped for longer is stale anyway.
	exporters, err := query[vector](ctx, p, "vector", fmt.Sprintf("timestamp(%s{%s})", telemetry.ExporterInfo, p.selector), now)
	if err != nil {
		return nil, err
	}
	sources, errs := sourcesOf(exporters)
	var scrapes []telemetry.Scrape
	for _, some := range batches(sources, now) {
		read, failed := p.read(ctx, some, now)
		scrapes, errs = append(scrapes, read...), append(errs, failed...)
		if ctx.Err() != nil {
			break
		}
	}
	slices.SortFunc(scrapes, func(a, b telemetry.Scrape) int { return cmp.Compare(a.Node, b.Node) })
	return scrapes, errors.Join(errs...)
}

// read reads the last scrapes of some sources. If the answer is too large it asks
// for half of them at a time, so that in the end one exporter is blamed.
func (p *prometheusSource) read(ctx context.Context, some []source, now int64) ([]telemetry.Scrape, []error) {
	series, err := query[matrix](ctx, p, "matrix", rangeQuery(p.selector, some, now), now)
	switch {
	case errors.As(err, new(*http.MaxBytesError)) && len(some) > 1:
		first, errs := p.read(ctx, some[:len(some)/2], now)
		second, more := p.read(ctx, some[len(some)/2:], now)
		return append(first, second...), append(errs, more...)
	case errors.As(err, new(*http.MaxBytesError)):
		return nil, []error{fmt.Errorf("metrics of node %s in Prometheus: %w", some[0].node, err)}
	case err != nil:
		return nil, []error{err}
	}
	var scrapes []telemetry.Scrape
	var errs []error
	for _, last := range lastScrapes(some, series) {
		scrape, err := telemetry.Decode(last.series, p.local(last.millis))
		if err = cmp.Or(last.check(), err); err != nil {
			errs = append(errs, fmt.Errorf("metrics of node %s in Prometheus: %w", last.node, err))
			continue
		}
		scrapes = append(scrapes, scrape)
	}
	return scrapes, errs
}

// local converts a time of Prometheus' clock to ours.
func (p *prometheusSource) local(millis int64) time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return time.UnixMilli(millis).Add(p.skew)
}

// time is Prometheus' time in milliseconds; it compares that clock with ours.
func (p *prometheusSource) time(ctx context.Context) (int64, error) {
	before := time.Now()
	result, err := query[scalar](ctx, p, "scalar", "time()", 0)
	if err != nil {
		return 0, err
	}
	after := time.Now()
	theirs, err := millis(result.value)
	if err != nil {
		return 0, fmt.Errorf("query the time of Prometheus: %w", err)
	}
	trip := after.Sub(before)
	measured := before.Add(trip / 2).Sub(time.UnixMilli(theirs))
	p.mu.Lock()
	defer p.mu.Unlock()
	if (measured - p.skew).Abs() > trip/2+skewStep {
		p.skew = measured
	}
	return theirs, nil
}

// query runs an instant query at a time in milliseconds, 0 for now; kind is what
// Prometheus calls its result. It is sent by POST since it may be too long for a
// URL.
func query[T any](ctx context.Context, p *prometheusSource, kind, query string, at int64) (result T, err error) {
	values := url.Values{"query": {query}}
	if at > 0 {
		values.Set("time", strconv.FormatFloat(float64(at)/1000, 'f', 3, 64))
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.api, strings.NewReader(values.Encode()))
	if err != nil {
		return result, fmt.Errorf("query Prometheus: %w", err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "application/json")
	resp, err := p.client.Do(req)
	if err != nil {
		return result, fmt.Errorf("query Prometheus: %w", err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(http.MaxBytesReader(nil, resp.Body, answerLimit))
	if err != nil {
		return result, fmt.Errorf("query Prometheus: read the answer: %w", err)
	}
	result, err = parseAnswer[T](body, kind)
	switch {
	case resp.StatusCode != http.StatusOK && err == nil:
		return result, fmt.Errorf("query Prometheus: status %s", resp.Status)
	case resp.StatusCode != http.StatusOK:
		return result, fmt.Errorf("query Prometheus: status %s: %w", resp.Status, err)
	case err != nil:
		return result, fmt.Errorf("query Prometheus: %w", err)
	}
	return result, nil
}
