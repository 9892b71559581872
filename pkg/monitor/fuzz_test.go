package monitor

import (
	"encoding/json"
	"math"
	"testing"
	"unicode/utf8"

	"github.com/prometheus/common/model"
)

// FuzzAnswer holds the decoder of Prometheus' answers against the types of
// Prometheus itself: of whatever both accept, each series has the same labels and
// the same last sample.
func FuzzAnswer(f *testing.F) {
	for _, seed := range []string{
		``, `{"status":"error","errorType":"timeout","error":"query timed out"}`, `{"status":"success","data":{}}`,
		`{"status":"success","data":{"resultType":"matrix","result":[{"metric":{"__name__":"heteroaccel_device_slots","node":"g"},"values":[[1700000000.123,"1"],[1700000001.123,"NaN"]]}]}}`,
		`{"status":"success","data":{"resultType":"matrix","result":[{"metric":{},"values":[]},{"metric":null,"values":[[1,"-Inf"]]}]}}`,
		`{"status":"success","data":{"resultType":"matrix","result":[{"metric":{"a":"[\"]"},"values":[ [ 1e3 , "0x1p-2" ] ] }]}}`,
		`{"status":"success","data":{"resultType":"scalar","result":[1700000000.5,"1700000000.5"]}}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		if at, err := parseAnswer[scalar](body, "scalar"); err == nil && (at.millis > 1e15 || at.millis < -1e15) {
			t.Fatalf("the time is %d", at.millis)
		}
		got, err := parseAnswer[matrix](body, "matrix")
		if err != nil {
			if !utf8.ValidString(err.Error()) {
				t.Fatalf("message: %q", err)
			}
			return
		}
		for _, s := range got {
			if s.Last.millis > 1e15 || s.Last.millis < -1e15 {
				t.Fatalf("a sample at %d", s.Last.millis)
			}
		}
		raw, err := parseAnswer[json.RawMessage](body, "matrix")
		var want model.Matrix
		if err != nil || json.Unmarshal(raw, &want) != nil {
			return
		}
		if len(want) != len(got) {
			t.Fatalf("%d series, want %d", len(got), len(want))
		}
		for i, s := range want {
			if s == nil || len(s.Values) == 0 {
				continue
			}
			last, own := s.Values[len(s.Values)-1], got[i].Last
			// model.Time is cut where ours is rounded.
			if off := int64(last.Timestamp) - own.millis; off < -1 || off > 1 {
				t.Errorf("series %d: at %d, want %d", i, own.millis, last.Timestamp)
			}
			if v := float64(last.Value); v != own.value && !(math.IsNaN(v) && math.IsNaN(own.value)) {
				t.Errorf("series %d: %v, want %v", i, own.value, v)
			}
			if len(s.Metric) != len(got[i].Metric) {
				t.Errorf("series %d: labels %v, want %v", i, got[i].Metric, s.Metric)
			}
			for name, value := range s.Metric {
				if got[i].Metric[string(name)] != string(value) {
					t.Errorf("series %d: label %s is %q, want %q", i, name, got[i].Metric[string(name)], value)
				}
			}
		}
	})
}
