package monitor

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"

	"heteroaccel.io/pkg/telemetry"
	"heteroaccel.io/pkg/telemetry/exposition"
)

const (
	// scrapeLimit is the maximum size of an exporter's page, in bytes, unpacked: a
	// machine with 16 devices of 100 slots each, all held, has 0.4 MB.
	scrapeLimit = 1 << 20
	// largePage is the size from which on pages are read largePages at a time. Most
	// have 10 kB; parsing takes 25 times the size of a page, so all pages being as
	// large as they may be must not add up.
	largePage, largePages = 64 << 10, 2
	// scrapeTimeout bounds one exporter's answer; the exporter's own default
	// is one second.
	scrapeTimeout = 3 * time.Second
	// concurrency is how many exporters are scraped at the same time.
	concurrency = 32
)

// scraper scrapes exporters.
type scraper struct {
	client *http.Client
	large  chan struct{} // has an item for each large page that is being read
}

// newScraper returns a scraper that follows no redirects: a page speaks for the
// node at its own address.
func newScraper(client *http.Client) *scraper {
	own := *client
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &scraper{client: &own, large: make(chan struct{}, largePages)}
}

// all scrapes every page. It returns what was read of each, in their order, with
// an empty Node where that failed, and the errors.
func (s *scraper) all(ctx context.Context, pages []page) ([]telemetry.Scrape, []error) {
	scrapes := make([]telemetry.Scrape, len(pages))
	failed := make([]error, len(pages))
	var group errgroup.Group
	group.SetLimit(concurrency)
	for i, p := range pages {
		group.Go(func() error {
			scrapes[i], failed[i] = s.scrape(ctx, p)
			return nil
		})
	}
	_ = group.Wait() // errors are in failed, so that one does not hide the others
	return scrapes, failed
}

// scrape reads one exporter's page.
func (s *scraper) scrape(ctx context.Context, p page) (telemetry.Scrape, error) {
	ctx, cancel := context.WithTimeout(ctx, scrapeTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url, nil)
	if err != nil {
		return telemetry.Scrape{}, fmt.Errorf("scrape %s: %w", p.url, err)
	}
	req.Host = p.host
	req.Header.Set("Accept", "text/plain;version=0.0.4")
	start := time.Now()
	resp, err := s.client.Do(req)
	if err != nil {
		return telemetry.Scrape{}, fmt.Errorf("scrape: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return telemetry.Scrape{}, fmt.Errorf("scrape %s: status %s", p.url, resp.Status)
	}
	out, err := s.read(ctx, http.MaxBytesReader(nil, resp.Body, scrapeLimit), start)
	if err != nil {
		return telemetry.Scrape{}, fmt.Errorf("scrape %s: %w", p.url, err)
	}
	return out, nil
}

// read reads and decodes a page. It reads the whole page before parsing: one that
// is too large is rejected at the speed of the network, not of the parser.
func (s *scraper) read(ctx context.Context, page io.Reader, at time.Time) (telemetry.Scrape, error) {
	var body bytes.Buffer
	switch _, err := io.CopyN(&body, page, largePage); {
	case err == nil: // there may be more
		select {
		case s.large <- struct{}{}:
			defer func() { <-s.large }()
		case <-ctx.Done():
			return telemetry.Scrape{}, fmt.Errorf("too many large pages at once: %w", ctx.Err())
		}
		if _, err := io.Copy(&body, page); err != nil {
			return telemetry.Scrape{}, err
		}
	case !errors.Is(err, io.EOF):
		return telemetry.Scrape{}, err
	}
	series, err := exposition.Parse(&body)
	if err != nil {
		return telemetry.Scrape{}, err
	}
	return telemetry.Decode(series, at)
}
