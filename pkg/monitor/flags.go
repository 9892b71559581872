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

// Flags choose where telemetry comes from, and how old it may get.
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
	fs.StringSliceVar(&f.exporters, "exporter-endpoints", nil, "exporters to scrape: URLs such as http://node-1:9817, or dns+http://SERVICE.NAMESPACE:9817 for every address of a headless Service; may be given several times")
	fs.StringVar(&f.prometheus, "prometheus-url", "", "Prometheus server that scrapes the exporters, to be asked instead of them: http://HOST:9090")
	fs.DurationVar(&f.Interval, "telemetry-interval", DefaultInterval, "how often the exporters, or Prometheus, are asked")
	fs.DurationVar(&f.MaxAge, "max-telemetry-age", 15*time.Second, "a node whose telemetry is older is stale: Kubernetes' own accounting alone counts there")
}

// Check refuses values that mean nothing, and makes the Source. With neither
// exporters nor Prometheus there is no telemetry at all.
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

// newClient is an HTTP client for hosts that are close by: no proxy, no
// patience for a host that does not answer, connections kept for the next
// round.
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
