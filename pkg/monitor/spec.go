package monitor

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"heteroaccel.io/pkg/telemetry"
)

// Parse reads the value of the flag that chooses where samples come from:
//
//	prometheus=http://prometheus:9090
//	exporters=http://node-1:9817,http://node-2:9817
//	exporters=dns+http://heteroaccel-exporter.heteroaccel-system:9817
//	none
func Parse(spec string) (Source, error) {
	how, where, _ := strings.Cut(strings.TrimSpace(spec), "=")
	switch {
	case how == "prometheus":
		return Prometheus(where, newClient())
	case how == "exporters":
		return Scrape(splitTargets(where), newClient())
	case spec == "none":
		return func(context.Context) ([]telemetry.Sample, error) { return nil, nil }, nil
	default:
		return nil, fmt.Errorf("%q does not say where samples come from: write prometheus=URL, exporters=URL,URL,… or none", spec)
	}
}

// splitTargets splits at commas; a comma too many is no target.
func splitTargets(list string) []string {
	return strings.FieldsFunc(list, func(r rune) bool { return r == ',' || r == ' ' })
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
