package report

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func rounds(way, revision string, values ...float64) (all []Round) {
	for _, v := range values {
		all = append(all, Round{Load: "gpu", Way: way, Nodes: 50, Bound: v, Created: 2 * v, Revision: revision, CPU: map[string]float64{"webhook": 1 / v}})
	}
	return all
}

func TestRatioOf(t *testing.T) {
	for name, c := range map[string]struct {
		over, under []float64
		want        Ratio
	}{
		"none":           {nil, nil, Ratio{}},
		"one":            {[]float64{40}, []float64{100}, Ratio{.4, .4, .4, 1}},
		"turn by turn":   {[]float64{40, 10, 90}, []float64{100, 20, 100}, Ratio{.5, .4, .9, 3}},
		"an even number": {[]float64{40, 60}, []float64{100, 100}, Ratio{.5, .4, .6, 2}},
		"one is missing": {[]float64{40, 60}, []float64{100}, Ratio{.4, .4, .4, 1}},
		"one came to 0":  {[]float64{40, 60}, []float64{0, 100}, Ratio{.6, .6, .6, 1}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := RatioOf(rounds(Ours, "", c.over...), rounds(Hand, "", c.under...), bound); got != c.want {
				t.Errorf("%+v, want %+v", got, c.want)
			}
		})
	}
}

func TestCompare(t *testing.T) {
	for name, c := range map[string]struct {
		was, is []float64
		want    Verdict
	}{
		"worse every time":          {[]float64{100, 50, 200}, []float64{90, 40, 180}, Worse},
		"better every time":         {[]float64{100, 50, 200}, []float64{120, 60, 230}, Better},
		"worse, but for one":        {[]float64{100, 50, 200}, []float64{90, 51, 180}, Same},
		"worse by next to nothing":  {[]float64{100, 100, 100}, []float64{97, 97, 97}, Same},
		"better by next to nothing": {[]float64{100, 100, 100}, []float64{103, 103, 103}, Same},
		"two turns":                 {[]float64{100, 100}, []float64{10, 10}, TooShort},
	} {
		t.Run(name, func(t *testing.T) {
			r := Run{Rounds: append(rounds(Ours, "base", c.was...), rounds(Ours, "head", c.is...)...)}
			changes := r.Compare("base", "head")
			if len(changes) != 3 {
				t.Fatalf("%d changes, want three", len(changes))
			}
			for _, change := range changes {
				if change.Verdict != c.want {
					t.Errorf("%s, want %s", change, c.want)
				}
			}
		})
	}
	if changes := (Run{Rounds: rounds(Ours, "base", 1, 2, 3)}).Compare("base", "head"); changes != nil {
		t.Errorf("%v of one revision alone", changes)
	}
}

func TestLatencyOf(t *testing.T) {
	var took []time.Duration
	for i := range 100 {
		took = append(took, time.Duration(100-i)*time.Millisecond)
	}
	want := Latency{Way: Ours, Nodes: 50, Pods: 100, P50: 51 * time.Millisecond, P90: 91 * time.Millisecond, P99: 100 * time.Millisecond}
	if diff := cmp.Diff(want, LatencyOf(Ours, 50, took)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestWrite(t *testing.T) {
	r := Run{Rounds: append(rounds(Ours, "", 50, 40), rounds(Hand, "", 100, 100)...)}
	r.Rounds[0].Requests = map[string]float64{"POST events": 1, "GET leases": .01}
	r.Rounds[1].Requests = r.Rounds[0].Requests
	r.Latencies = []Latency{{Way: Ours, Nodes: 50, P50: 30 * time.Millisecond}, {Way: Hand, Nodes: 50, P50: 20 * time.Millisecond}}
	var out strings.Builder
	if err := r.Write(&out); err != nil {
		t.Fatal(err)
	}
	said := out.String()
	for _, want := range []string{"0.45", "POST events 1.00", "30.0 ms", "1.50"} {
		if !strings.Contains(said, want) {
			t.Errorf("%q is missing:\n%s", want, said)
		}
	}
	if strings.Contains(said, "leases") {
		t.Errorf("requests that are next to none have a place:\n%s", said)
	}
}
