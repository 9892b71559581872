package exposition

import (
	"strings"
	"testing"
)

// TestCounters: the pages are as OpenVINO Model Server and Triton write them.
func TestCounters(t *testing.T) {
	const ovms = `# HELP ovms_inference_time_us Inference execution time in the OpenVINO backend.
# TYPE ovms_inference_time_us histogram
ovms_inference_time_us_bucket{name="faces",version="1",le="10"} 0
ovms_inference_time_us_bucket{name="faces",version="1",le="+Inf"} 40
ovms_inference_time_us_count{name="faces",version="1"} 40
ovms_inference_time_us_sum{name="faces",version="1"} 96000
ovms_inference_time_us_count{name="texts",version="1"} 2
ovms_inference_time_us_sum{name="texts",version="1"} 4000
# TYPE ovms_inference_time_us_sum_of_others counter
ovms_inference_time_us_sum_of_others 7
`
	const triton = `# TYPE nv_inference_request_success counter
nv_inference_request_success{model="faces",version="1"} 10
# TYPE nv_inference_compute_infer_duration_us counter
nv_inference_compute_infer_duration_us{model="faces",version="1"} 250
`
	tests := map[string]struct {
		page, sum, count string
		labels           map[string]string
		wantSum          float64
		wantCount        float64
		found, fails     bool
	}{
		"all series":            {page: ovms, sum: "ovms_inference_time_us_sum", count: "ovms_inference_time_us_count", wantSum: 100000, wantCount: 42, found: true},
		"one model":             {page: ovms, sum: "ovms_inference_time_us_sum", count: "ovms_inference_time_us_count", labels: map[string]string{"name": "faces"}, wantSum: 96000, wantCount: 40, found: true},
		"no such model":         {page: ovms, sum: "ovms_inference_time_us_sum", count: "ovms_inference_time_us_count", labels: map[string]string{"name": "x"}},
		"two counters":          {page: triton, sum: "nv_inference_compute_infer_duration_us", count: "nv_inference_request_success", wantSum: 250, wantCount: 10, found: true},
		"one is missing":        {page: triton, sum: "nv_inference_compute_infer_duration_us", count: "nv_inference_count"},
		"an empty page":         {sum: "a", count: "b"},
		"a web page":            {page: "<html>a b</html>", sum: "a", count: "b"},
		"not a number":          {page: "a x\nb 1\n", sum: "a", count: "b", fails: true},
		"NaN":                   {page: "a NaN\nb 1\n", sum: "a", count: "b", fails: true},
		"below 0":               {page: "a -1\nb 1\n", sum: "a", count: "b", fails: true},
		"a line without end":    {page: strings.Repeat("a", maxLine+1), sum: "a", count: "b", fails: true},
		"with times of its own": {page: "a 1 1700000000000\nb 2 1700000000000\n", sum: "a", count: "b", wantSum: 1, wantCount: 2, found: true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			sum, count, found, err := Counters(strings.NewReader(tt.page), tt.sum, tt.count, tt.labels)
			if (err != nil) != tt.fails || found != tt.found || found && (sum != tt.wantSum || count != tt.wantCount) {
				t.Errorf("%v, %v, %t, %v; want %v, %v, %t", sum, count, found, err, tt.wantSum, tt.wantCount, tt.found)
			}
		})
	}
}
