package served

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"heteroaccel.io/pkg/profile"
	"heteroaccel.io/pkg/telemetry"
	"heteroaccel.io/pkg/telemetry/exposition"
)

const (
	// pageLimit is the maximum size of a server's page, in bytes, unpacked. What is no
	// line of the two counters is dropped as it comes.
	pageLimit = 8 << 20
	// pageTimeout bounds the answer of one server.
	pageTimeout = 3 * time.Second
	// concurrency is how many servers are read at the same time.
	concurrency = 16
)

// errNoSeries is that of a page without the counters.
var errNoSeries = errors.New("has no such series")

// newClient is an HTTP client for pods: no proxy, and no redirect, as what it reads must
// be of the pod that it asked.
func newClient() *http.Client {
	return &http.Client{
		Timeout:       pageTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			DialContext:         (&net.Dialer{Timeout: time.Second}).DialContext,
			MaxIdleConns:        256,
			MaxIdleConnsPerHost: 1,
			IdleConnTimeout:     2 * time.Minute,
		},
	}
}

// scrape reads the counters of a server from its own page.
func scrape(ctx context.Context, client *http.Client, at netip.Addr, m *profile.ServerMetrics) (counters, error) {
	page := "http://" + netip.AddrPortFrom(at, uint16(m.Port)).String() + m.Path
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, page, nil)
	if err != nil {
		return counters{}, fmt.Errorf("read %s: %w", page, err)
	}
	req.Header.Set("Accept", "text/plain;version=0.0.4")
	resp, err := client.Do(req)
	if err != nil {
		return counters{}, fmt.Errorf("read the server: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return counters{}, fmt.Errorf("read %s: status %s", page, resp.Status)
	}
	now := time.Now()
	sum, count, found, err := exposition.Counters(http.MaxBytesReader(nil, resp.Body, pageLimit), m.Sum, m.Count, m.Labels)
	if err != nil {
		return counters{}, fmt.Errorf("read %s: %w", page, err)
	}
	if !found {
		return counters{}, fmt.Errorf("read %s: it %w as %s and %s: correct serverMetrics", page, errNoSeries, m.Sum, m.Count)
	}
	return counters{now, sum * m.Unit.Seconds(), count}, nil
}

// querier is a Prometheus server.
type querier interface {
	Vector(ctx context.Context, promql string) ([]telemetry.Series, error)
}

// ask reads the counters of all servers that a Prometheus server scrapes, by the labels
// namespace and pod that it gives their series.
func ask(ctx context.Context, q querier, m *profile.ServerMetrics) (map[types.NamespacedName]counters, error) {
	values, err := q.Vector(ctx, fmt.Sprintf("sum by (__name__, namespace, pod) (%s)", selector(m, m.Sum, m.Count)))
	if err != nil || len(values) == 0 {
		return nil, err
	}
	times, err := q.Vector(ctx, fmt.Sprintf("min by (namespace, pod) (timestamp(%s))", selector(m, m.Count)))
	if err != nil {
		return nil, err
	}
	out := map[types.NamespacedName]counters{}
	for _, s := range times {
		out[nameOf(s)] = counters{at: time.UnixMilli(int64(s.Value * 1000)), sum: -1, count: -1}
	}
	for _, s := range values {
		c, ok := out[nameOf(s)]
		switch {
		case !ok:
			continue
		case s.Labels["__name__"] == m.Sum:
			c.sum = s.Value * m.Unit.Seconds()
		default:
			c.count = s.Value
		}
		out[nameOf(s)] = c
	}
	for name, c := range out {
		if !(c.sum >= 0 && c.count >= 0) || name.Namespace == "" || name.Name == "" {
			delete(out, name)
		}
	}
	return out, nil
}

func nameOf(s telemetry.Series) types.NamespacedName {
	return types.NamespacedName{Namespace: s.Labels["namespace"], Name: s.Labels["pod"]}
}

// selector selects the series of these names that count.
func selector(m *profile.ServerMetrics, names ...string) string {
	for i, name := range names {
		names[i] = regexp.QuoteMeta(name)
	}
	matchers := []string{"__name__=~" + strconv.Quote(strings.Join(names, "|"))}
	for name, value := range m.Labels {
		matchers = append(matchers, name+"="+strconv.Quote(value))
	}
	slices.Sort(matchers[1:])
	return "{" + strings.Join(matchers, ",") + "}"
}
