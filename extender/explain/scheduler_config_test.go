package explain

import (
	"crypto/tls"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/google/go-cmp/cmp"
	schedulerv1 "k8s.io/kube-scheduler/config/v1"
	"sigs.k8s.io/yaml"

	"heteroaccel.io/extender/extendertest"
	"heteroaccel.io/extender/schedulerconfig"
)

// The page can be pasted: as YAML it says what its JSON does, the well-known
// resources and those of the profiles, at the address it was asked at.
func TestConfig(t *testing.T) {
	all, added := schedulerconfig.Resources([]string{extendertest.GPU, extendertest.NPU, extendertest.FPGA})
	if diff := cmp.Diff([]string{extendertest.FPGA}, added); diff != "" {
		t.Errorf("added (-want +got):\n%s", diff)
	}
	secure := schedulerconfig.Entry("https://10.96.0.9:8888/scheduler", all)
	secure.EnableHTTPS = true
	secure.TLSConfig = &schedulerv1.ExtenderTLSConfig{ServerName: serviceHost, CAFile: caFile}
	tests := map[string]struct {
		host string
		tls  bool
		want schedulerv1.Extender
	}{
		"http":          {"10.96.0.9:8888", false, schedulerconfig.Entry("http://10.96.0.9:8888/scheduler", all)},
		"https":         {"10.96.0.9:8888", true, secure},
		"IPv6":          {"[fd00::1]:8888", false, schedulerconfig.Entry("http://[fd00::1]:8888/scheduler", all)},
		"hostile host":  {"a: {b}", false, schedulerconfig.Entry("http://"+serviceHost+":8888/scheduler", all)},
		"host, newline": {"a\nb: c", false, schedulerconfig.Entry("http://"+serviceHost+":8888/scheduler", all)},
	}
	r := newRig(t)
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			ask := func(path string) []byte {
				req := httptest.NewRequest(http.MethodGet, path, nil)
				req.Host = tt.host
				if tt.tls {
					req.TLS = &tls.ConnectionState{}
				}
				w := httptest.NewRecorder()
				r.Config.Handler.ServeHTTP(w, req)
				return w.Body.Bytes()
			}
			var fromText, fromJSON struct{ Extenders []schedulerv1.Extender }
			text := ask("/scheduler/config")
			if err := yaml.UnmarshalStrict(text, &fromText); err != nil {
				t.Fatalf("%v in\n%s", err, text)
			}
			if err := json.Unmarshal(ask("/scheduler/config?format=json"), &fromJSON); err != nil {
				t.Fatal(err)
			}
			want := []schedulerv1.Extender{tt.want}
			if diff := cmp.Diff(want, fromText.Extenders); diff != "" {
				t.Errorf("text (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(want, fromJSON.Extenders); diff != "" {
				t.Errorf("JSON (-want +got):\n%s", diff)
			}
			if name == "http" {
				golden(t, "config.yaml", string(text))
			}
		})
	}
}
