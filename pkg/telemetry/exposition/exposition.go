// Package exposition translates the telemetry contract to and from Prometheus'
// text format.
//
// A telemetry.Scrape enters and leaves as Prometheus metrics; the text of a
// scrape enters and leaves as telemetry.Series. It makes no request and keeps
// nothing.
package exposition

import (
	"fmt"
	"io"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"heteroaccel.io/pkg/telemetry"
)

// metric is a metric of the contract as Prometheus' library has it.
type metric struct {
	desc   *prometheus.Desc
	labels []string
	kind   prometheus.ValueType
}

// metrics are all metrics of the contract, by name.
var metrics = func() map[string]metric {
	out := map[string]metric{}
	for _, m := range telemetry.Metrics() {
		kind := prometheus.GaugeValue
		if m.Counter {
			kind = prometheus.CounterValue
		}
		out[m.Name] = metric{prometheus.NewDesc(m.Name, m.Help, m.Labels, nil), m.Labels, kind}
	}
	return out
}()

// Describe sends the descriptions of all metrics of the contract.
func Describe(ch chan<- *prometheus.Desc) {
	for _, m := range metrics {
		ch <- m.desc
	}
}

// Collect sends a scrape as metrics.
func Collect(ch chan<- prometheus.Metric, s telemetry.Scrape) {
	for _, one := range telemetry.Encode(s) {
		m := metrics[one.Name]
		values := make([]string, len(m.labels))
		for i, name := range m.labels {
			values[i] = one.Labels[name]
		}
		out, err := prometheus.NewConstMetric(m.desc, m.kind, one.Value, values...)
		if err != nil {
			out = prometheus.NewInvalidMetric(m.desc, err)
		}
		ch <- out
	}
}

// Parse reads the text format, version 0.0.4, with Prometheus' own parser. It
// returns gauges, counters and untyped metrics, which is all that the contract
// has.
func Parse(r io.Reader) ([]telemetry.Series, error) {
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(r)
	if err != nil {
		return nil, fmt.Errorf("read the text format: %w", err)
	}
	var out []telemetry.Series
	for name, family := range families {
		for _, m := range family.GetMetric() {
			value, ok := valueOf(m)
			if !ok {
				continue
			}
			labels := make(map[string]string, len(m.GetLabel()))
			for _, l := range m.GetLabel() {
				labels[l.GetName()] = l.GetValue()
			}
			out = append(out, telemetry.Series{Name: name, Labels: labels, Value: value})
		}
	}
	return out, nil
}

// valueOf is a metric's value; ok is false for a histogram or a summary.
func valueOf(m *dto.Metric) (value float64, ok bool) {
	switch {
	case m.GetGauge() != nil:
		return m.GetGauge().GetValue(), true
	case m.GetCounter() != nil:
		return m.GetCounter().GetValue(), true
	case m.GetUntyped() != nil:
		return m.GetUntyped().GetValue(), true
	}
	return 0, false
}
