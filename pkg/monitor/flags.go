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
	Source   Source
	Interval time.Duration
	// MaxAge is how old a node's telemetry may be and still count.
	MaxAge time.Duration

	prometheus string
	exporters  []string
}

// Add declares the flags.
func (f *Flags) Add(fs *pflag.FlagSet) {
	fs.StringSliceVar(&f.exporters, "exporter-endpoints", nil, "exporters to scrape: URLs such as http://node-1:9817, or dns+http://SERVICE.NAMESPACE:9817 for every address of a headless Service; may be repeated")
	fs.StringVar(&f.prometheus, "prometheus-url", "", "read telemetry from this Prometheus server instead of the exporters: http://HOST:9090")
	fs.DurationVar(&f.Interval, "telemetry-interval", DefaultInterval, "how often to scrape the exporters, or to query Prometheus")
	fs.DurationVar(&f.MaxAge, "max-telemetry-age", 15*time.Second, "a node whose telemetry is older is stale: only Kubernetes' own accounting counts there")
}

// Check rejects invalid values and creates the Source. Without exporters and
// without Prometheus there is no telemetry.
func (f *Flags) Check() (err error) {
	switch {
	case f.Interval <= 0 || f.MaxAge <= 0:
		return errors.New("--telemetry-interval and --max-telemetry-age must be longer than 0")
	case f.prometheus != "" && len(f.exporters) > 0:
		return errors.New("--exporter-endpoints and --prometheus-url are both given: give one of them")
	case f.prometheus != "":
		if f.Source, err = Prometheus(f.prometheus, newClient()); err != nil {
			return fmt.Errorf("--prometheus-url: %w", err)
		}
	case len(f.exporters) > 0:
		if f.Source, err = Exporters(f.exporters, newClient()); err != nil {
			return fmt.Errorf("--exporter-endpoints: %w", err)
		}
	default:
		f.Source = func(context.Context) ([]telemetry.Scrape, error) { return nil, nil }
	}
	return nil
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
