package explain

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
	schedulerv1 "k8s.io/kube-scheduler/config/v1"
	"sigs.k8s.io/yaml"

	"heteroaccel.io/extender/extendertest"
	"heteroaccel.io/pkg/schedulerconfig"
)

// The page can be pasted: as YAML it says what its JSON does, the well-known
// resources and those of the profiles, at the address of the verbs, and not at that
// of the page.
func TestConfig(t *testing.T) {
	all, added := schedulerconfig.Resources([]string{extendertest.GPU, extendertest.NPU, extendertest.FPGA})
	if diff := cmp.Diff([]string{extendertest.FPGA}, added); diff != "" {
		t.Errorf("added (-want +got):\n%s", diff)
	}
	for name, at := range map[string]schedulerconfig.Endpoint{
		"http":       {URL: "http://10.96.0.9:8888/scheduler"},
		"https":      {URL: "https://10.96.0.9:8888/scheduler", ServerName: "heteroaccel-extender.ours.svc"},
		"mutual TLS": {URL: "https://[fd00::1]:8888/scheduler", ServerName: "heteroaccel-extender.ours.svc", ClientCertificate: true},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.pages.VerbsAt = at
			var fromText, fromJSON struct{ Extenders []schedulerv1.Extender }
			_, _, text := r.get(t, "/scheduler/config")
			if err := yaml.UnmarshalStrict([]byte(text), &fromText); err != nil {
				t.Fatalf("%v in\n%s", err, text)
			}
			_, _, asJSON := r.get(t, "/scheduler/config?format=json")
			if err := json.Unmarshal([]byte(asJSON), &fromJSON); err != nil {
				t.Fatal(err)
			}
			want := []schedulerv1.Extender{schedulerconfig.Entry(at, all)}
			if diff := cmp.Diff(want, fromText.Extenders); diff != "" {
				t.Errorf("text (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(want, fromJSON.Extenders); diff != "" {
				t.Errorf("JSON (-want +got):\n%s", diff)
			}
			if name == "http" {
				golden(t, "config.yaml", text)
			}
		})
	}
}
