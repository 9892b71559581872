package served

import (
	"context"
	"fmt"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"heteroaccel.io/pkg/profile"
	"heteroaccel.io/pkg/telemetry"
)

// answers are what a Prometheus server says to each query.
type answers map[string][]telemetry.Series

func (a answers) Vector(_ context.Context, promql string) ([]telemetry.Series, error) {
	series, ok := a[promql]
	if !ok {
		return nil, fmt.Errorf("unexpected query %s", promql)
	}
	return series, nil
}

// TestPrometheus: what Prometheus has is not read from the pods, whatever else it has.
func TestPrometheus(t *testing.T) {
	const values, times = `sum by (__name__, namespace, pod) ({__name__=~"took_sum|took_count"})`, `min by (namespace, pod) (timestamp({__name__=~"took_count"}))`
	of := func(pod, metric string, value float64) telemetry.Series {
		labels := map[string]string{"namespace": "lab", "pod": pod}
		if metric != "" {
			labels["__name__"] = metric
		}
		return telemetry.Series{Labels: labels, Value: value}
	}
	a := answers{}
	r := newRig(t, a)
	r.server("lab", "a", "127.0.0.1", "GPU")
	r.server("lab", "b", "127.0.0.2", "GPU")
	for i := range 2 {
		n := float64(i)
		a[values] = []telemetry.Series{of("a", "took_sum", 1000*n), of("a", "took_count", 100*n), of("half", "took_sum", 1), of("", "took_sum", 1)}
		a[times] = []telemetry.Series{of("a", "", 1_700_000_000+30*n), of("half", "", 1_700_000_000), of("", "", 1_700_000_000)}
		r.did("127.0.0.2", 100*i, 3000*i)
		r.round(t.Context())
	}
	if got := r.histories["laba"].rate; got != 100./30 {
		t.Errorf("it did %v inferences a second", got)
	}
	// Prometheus' clock is years behind ours: what was read just now is no less fresh.
	if n := testutil.CollectAndCount(r, "heteroaccel_webhook_server_rate"); n != 1 {
		t.Errorf("there are %d rates, want that of the one owner", n)
	}
	if r.asked["127.0.0.1"] != 0 || r.asked["127.0.0.2"] != 2 {
		t.Errorf("asked: %v", r.asked)
	}
	delete(a, values)
	r.round(t.Context()) // Prometheus is away: all are read
	if r.asked["127.0.0.1"] != 1 {
		t.Errorf("asked: %v", r.asked)
	}
}

func TestSelector(t *testing.T) {
	m := &profile.ServerMetrics{Labels: map[string]string{"name": `a"} or vector(1) #`, "model": "x"}}
	if got, want := selector(m, "a_sum"), `{__name__=~"a_sum",model="x",name="a\"} or vector(1) #"}`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
