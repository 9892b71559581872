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
	// scrapeLimit is how many bytes an exporter's page may have.
	scrapeLimit = 8 << 20
	// scrapeTimeout bounds one exporter's answer; the exporter's own default
	// is one second.
	scrapeTimeout = 3 * time.Second
	// concurrency is how many exporters are asked at the same time.
	concurrency = 32
)

// target is one exporter, or a name behind which there are many.
type target struct {
	url *url.URL
	// dns tells that every address of the host is an exporter.
	dns bool
}

// Exporters returns a source that asks exporters directly. A target is a URL such
// as http://node-1:9817; its path is /metrics unless it has one. With the
// scheme dns+http every address of the host is asked, looked up anew each
// time, as a headless Service needs it.
//
// A sample's Time is when its scrape started. When two targets speak of one
// node, the newest wins.
func Exporters(targets []string, client *http.Client) (Source, error) {
	if len(targets) == 0 {
		return nil, errors.New("no exporter is named: write http://HOST:9817, or dns+http://SERVICE.NAMESPACE:9817")
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
		return target{}, fmt.Errorf("%q: dns+ goes with http only, since a certificate names no address", s)
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

// scrapeAll asks every target. The samples are those that were read; the error
// joins what went wrong with the others.
func scrapeAll(ctx context.Context, targets []target, client *http.Client, resolve lookup) ([]telemetry.Scrape, error) {
	urls, errs := expand(ctx, targets, resolve)
	samples := make([]telemetry.Scrape, len(urls))
	failed := make([]error, len(urls))
	var group errgroup.Group
	group.SetLimit(concurrency)
	for i, u := range urls {
		group.Go(func() error {
			samples[i], failed[i] = scrape(ctx, u, client)
			return nil
		})
	}
	_ = group.Wait() // each keeps its own error, so that one does not hide the rest

	var read []telemetry.Scrape
	for i, err := range failed {
		if err != nil {
			errs = append(errs, err)
			continue
		}
		read = append(read, samples[i])
	}
	return newest(read), errors.Join(errs...)
}

// page is one exporter's page: where it is, and under what name to ask for it.
type page struct {
	url, host string
}

// expand looks up the names behind which there are many exporters.
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
			errs = append(errs, fmt.Errorf("look up the exporters behind %s: %w", t.url.Hostname(), err))
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

// scrape reads one exporter.
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
		return telemetry.Scrape{}, fmt.Errorf("scrape %s: the answer is %s", p.url, resp.Status)
	}
	// Whole before it is parsed: a page that is too large is refused at the
	// speed of the network, not of the parser.
	body, err := io.ReadAll(limit(resp.Body, scrapeLimit))
	if err != nil {
		return telemetry.Scrape{}, fmt.Errorf("scrape %s: %w", p.url, err)
	}
	series, err := exposition.Parse(bytes.NewReader(body))
	if err != nil {
		return telemetry.Scrape{}, fmt.Errorf("scrape %s: %w", p.url, err)
	}
	sample, err := telemetry.Decode(series, start)
	if err != nil {
		return telemetry.Scrape{}, fmt.Errorf("scrape %s: %w", p.url, err)
	}
	return sample, nil
}

// limit reads at most n bytes; more are an error, not the end.
func limit(r io.Reader, n int64) io.Reader { return &limited{r, n} }

type limited struct {
	r    io.Reader
	left int64
}

func (l *limited) Read(p []byte) (int, error) {
	if l.left < 0 {
		return 0, errTooLarge
	}
	// One byte more than the limit tells an end from an excess.
	if int64(len(p)) > l.left+1 {
		p = p[:l.left+1]
	}
	n, err := l.r.Read(p)
	if l.left -= int64(n); l.left < 0 {
		return n, errTooLarge
	}
	return n, err
}
