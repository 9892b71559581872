package monitor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/spf13/pflag"

	"heteroaccel.io/pkg/telemetry"
)

// Flags choose the source of telemetry, and how old it may get.
type Flags struct {
	Interval time.Duration
	// MaxAge is how old a node's telemetry may be and still count.
	MaxAge time.Duration

	prometheus string
	selector   string
	exporters  []string
}

// Add declares the flags.
func (f *Flags) Add(fs *pflag.FlagSet) {
	fs.StringSliceVar(&f.exporters, "exporter-endpoints", nil, "exporters to scrape: URLs such as http://node-1:9817, each of which speaks for the node that it names first, or dns+http://SERVICE.NAMESPACE:9817 for every pod behind a headless Service, each of which speaks for the node that it runs on; may be repeated")
	fs.StringVar(&f.prometheus, "prometheus-url", "", "read telemetry from this Prometheus server instead of the exporters: http://HOST:9090")
	fs.StringVar(&f.selector, "prometheus-selector", DefaultSelector, "matchers of the labels that only the exporters' series have in that Prometheus server; add the cluster's label where it has series of several, and that of a replica where it has each series twice")
	fs.DurationVar(&f.Interval, "telemetry-interval", DefaultInterval, "how often to scrape the exporters, or to query Prometheus")
	fs.DurationVar(&f.MaxAge, "max-telemetry-age", 15*time.Second, "a node whose telemetry is older is stale: only Kubernetes' own accounting counts there")
}

// Check rejects invalid values.
func (f *Flags) Check() error {
	switch {
	case f.Interval <= 0 || f.MaxAge <= 0:
		return errors.New("--telemetry-interval and --max-telemetry-age must be longer than 0")
	case f.prometheus != "" && len(f.exporters) > 0:
		return errors.New("--exporter-endpoints and --prometheus-url are both given: give one of them")
	}
	if _, err := parseSelector(f.selector); err != nil {
		return fmt.Errorf("--prometheus-selector: %w", err)
	}
	_, err := f.Source(nil)
	return err
}

// Source returns the source of the telemetry. pods are where the exporters' pods
// run, nil where nobody follows the API server; they need their first consumer
// after this. Without exporters and without Prometheus there is no telemetry.
func (f *Flags) Source(pods *Pods) (source Source, err error) {
	switch {
	case f.prometheus != "":
		if source, err = Prometheus(f.prometheus, f.selector, newClient()); err != nil {
			return nil, fmt.Errorf("--prometheus-url: %w", err)
		}
	case len(f.exporters) > 0:
		if source, err = Exporters(f.exporters, pods, newClient()); err != nil {
			return nil, fmt.Errorf("--exporter-endpoints: %w", err)
		}
	default:
		source = func(context.Context) ([]telemetry.Scrape, error) { return nil, nil }
	}
	return source, nil
}

// newClient is an HTTP client for hosts of the same cluster: no proxy, short
// timeouts, and connections kept for the next round.
func newClient() *http.Client {
	return &http.Client{
		Timeout: 30 * time.Second,
		Transport: &http.Transport{
			DialContext:           (&net.Dialer{Timeout: 2 * time.Second}).DialContext,
			TLSHandshakeTimeout:   2 * time.Second,
			ResponseHeaderTimeout: 10 * time.Second,
			MaxIdleConns:          1024,
			MaxIdleConnsPerHost:   2,
			IdleConnTimeout:       time.Minute,
		},
	}
}
