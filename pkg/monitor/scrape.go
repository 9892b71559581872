package monitor

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"heteroaccel.io/pkg/telemetry"
	"heteroaccel.io/pkg/telemetry/exposition"
)

const (
	// scrapeLimit is the maximum size of an exporter's page, in bytes.
	scrapeLimit = 8 << 20
	// scrapeTimeout bounds one exporter's answer; the exporter's own default
	// is one second.
	scrapeTimeout = 3 * time.Second
	// concurrency is how many exporters are scraped at the same time.
	concurrency = 32
)

// target is one exporter, or a name behind which there are many.
type target struct {
	url *url.URL
	// dns is set when every address of the host is an exporter.
	dns bool
}

// Exporters returns a source that scrapes exporters directly. A target is a URL
// such as http://node-1:9817; its path is /metrics unless it has one. With the
// scheme dns+http every address of the host is scraped, looked up each time, as
// a headless Service needs it.
//
// A scrape's Time is when it started. When two targets report one node, the
// newest scrape wins.
func Exporters(targets []string, client *http.Client) (Source, error) {
	if len(targets) == 0 {
		return nil, errors.New("no exporter given: write http://HOST:9817, or dns+http://SERVICE.NAMESPACE:9817")
	}
	parsed := make([]target, len(targets))
	for i, t := range targets {
		var err error
		if parsed[i], err = parseTarget(t); err != nil {
			return nil, err
		}
	}
	return func(ctx context.Context) ([]telemetry.Scrape, error) {
		return scrapeAll(ctx, parsed, client, net.DefaultResolver.LookupHost)
	}, nil
}

func parseTarget(s string) (target, error) {
	rest, dns := strings.CutPrefix(strings.TrimSpace(s), "dns+")
	u, err := url.Parse(rest)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return target{}, fmt.Errorf("%q is not an exporter: write http://HOST:9817, or dns+http://SERVICE.NAMESPACE:9817", s)
	}
	if dns && u.Scheme != "http" {
		return target{}, fmt.Errorf("%q: dns+ works with http only: certificates do not name addresses", s)
	}
	if dns && u.Port() == "" {
		u.Host = net.JoinHostPort(u.Hostname(), "80")
	}
	if u.Path == "" || u.Path == "/" {
		u.Path = "/metrics"
	}
	return target{url: u, dns: dns}, nil
}

// lookup returns the addresses of a host.
type lookup func(ctx context.Context, host string) ([]string, error)

// scrapeAll scrapes every target. It returns the scrapes that succeeded, and the
// errors of the others joined.
func scrapeAll(ctx context.Context, targets []target, client *http.Client, resolve lookup) ([]telemetry.Scrape, error) {
	urls, errs := expand(ctx, targets, resolve)
	scrapes := make([]telemetry.Scrape, len(urls))
	failed := make([]error, len(urls))
	var group errgroup.Group
	group.SetLimit(concurrency)
	for i, u := range urls {
		group.Go(func() error {
			scrapes[i], failed[i] = scrape(ctx, u, client)
			return nil
		})
	}
	_ = group.Wait() // errors are in failed, so that one does not hide the others

	var read []telemetry.Scrape
	for i, err := range failed {
		if err != nil {
			errs = append(errs, err)
			continue
		}
		read = append(read, scrapes[i])
	}
	return newest(read), errors.Join(errs...)
}

// page is one exporter's page: its URL, and the Host header to request it with.
type page struct {
	url, host string
}

// expand looks up the addresses of targets with dns+.
func expand(ctx context.Context, targets []target, resolve lookup) ([]page, []error) {
	var pages []page
	var errs []error
	for _, t := range targets {
		if !t.dns {
			pages = append(pages, page{t.url.String(), t.url.Host})
			continue
		}
		limited, cancel := context.WithTimeout(ctx, scrapeTimeout)
		addresses, err := resolve(limited, t.url.Hostname())
		cancel()
		if err != nil {
			errs = append(errs, fmt.Errorf("look up the exporters of %s: %w", t.url.Hostname(), err))
			continue
		}
		for _, address := range addresses {
			u := *t.url
			u.Host = net.JoinHostPort(address, t.url.Port())
			pages = append(pages, page{u.String(), t.url.Host})
		}
	}
	return pages, errs
}

// scrape reads one exporter's page.
func scrape(ctx context.Context, p page, client *http.Client) (telemetry.Scrape, error) {
	ctx, cancel := context.WithTimeout(ctx, scrapeTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url, nil)
	if err != nil {
		return telemetry.Scrape{}, fmt.Errorf("scrape %s: %w", p.url, err)
	}
	req.Host = p.host
	req.Header.Set("Accept", "text/plain;version=0.0.4")
	start := time.Now()
	resp, err := client.Do(req)
	if err != nil {
		return telemetry.Scrape{}, fmt.Errorf("scrape: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return telemetry.Scrape{}, fmt.Errorf("scrape %s: status %s", p.url, resp.Status)
	}
	// Read the whole page before parsing: one that is too large is rejected at
	// the speed of the network, not of the parser.
	body, err := io.ReadAll(limit(resp.Body, scrapeLimit))
	if err != nil {
		return telemetry.Scrape{}, fmt.Errorf("scrape %s: %w", p.url, err)
	}
	series, err := exposition.Parse(bytes.NewReader(body))
	if err != nil {
		return telemetry.Scrape{}, fmt.Errorf("scrape %s: %w", p.url, err)
	}
	out, err := telemetry.Decode(series, start)
	if err != nil {
		return telemetry.Scrape{}, fmt.Errorf("scrape %s: %w", p.url, err)
	}
	return out, nil
}

// limit reads at most n bytes; more are errTooLarge, not the end.
func limit(r io.Reader, n int64) io.Reader { return &limited{r, n} }

type limited struct {
	r    io.Reader
	left int64
}

func (l *limited) Read(p []byte) (int, error) {
	if l.left < 0 {
		return 0, errTooLarge
	}
	// One byte beyond the limit distinguishes the end from an excess.
	if int64(len(p)) > l.left+1 {
		p = p[:l.left+1]
	}
	n, err := l.r.Read(p)
	if l.left -= int64(n); l.left < 0 {
		return n, errTooLarge
	}
	return n, err
}
