package stack

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseMetrics(t *testing.T) {
	got, err := ParseMetrics("# HELP a It is.\n# TYPE a gauge\na 1\n\nb{x=\"1 2\",y=\"z\"} 2.5e+06\nc_sum 0\n")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]float64{"a": 1, `b{x="1 2",y="z"}`: 2.5e6, "c_sum": 0}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if _, err := ParseMetrics("a one\n"); err == nil {
		t.Error("a value that is no number is accepted")
	}
}
