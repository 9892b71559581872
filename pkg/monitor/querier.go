package monitor

import (
	"context"
	"fmt"

	"heteroaccel.io/pkg/telemetry"
)

// Querier queries the Prometheus server from which the telemetry is read.
type Querier struct{ source *prometheusSource }

// Querier returns one of the server that the flags name, nil if they name none.
func (f *Flags) Querier() (*Querier, error) {
	if f.prometheus == "" {
		return nil, nil
	}
	p, err := newPrometheus(f.prometheus, f.selector, newClient())
	if err != nil {
		return nil, fmt.Errorf("--prometheus-url: %w", err)
	}
	return &Querier{p}, nil
}

// Vector runs an instant query and returns the series of its result. A series has no
// Name but in its labels.
func (q *Querier) Vector(ctx context.Context, promql string) ([]telemetry.Series, error) {
	result, err := query[vector](ctx, q.source, "vector", promql, 0)
	if err != nil {
		return nil, err
	}
	out := make([]telemetry.Series, len(result))
	for i, s := range result {
		out[i] = telemetry.Series{Labels: s.Metric, Value: s.Value.value}
	}
	return out, nil
}
