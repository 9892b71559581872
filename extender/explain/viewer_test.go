package explain

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"heteroaccel.io/extender/bypass"
	"heteroaccel.io/extender/extendertest"
	"heteroaccel.io/extender/history"
	"heteroaccel.io/pkg/kube"
)

// TestWhoSeesWhat: whoever asks sees what they may list, is told what is left out,
// and learns the name of no other pod from any page.
func TestWhoSeesWhat(t *testing.T) {
	const omitted = "pods of namespaces in which you may not list pods"
	for name, tt := range map[string]struct {
		rights []string // resource, or resource/namespace
		path   string
		status int
		shows  []string
		hides  []string
	}{
		"everything":                {[]string{"pods", "nodes", "inferenceprofiles.heteroaccel.io"}, "/pods", 200, []string{"lab        mine", "default    face-0", "default/gone"}, []string{"NOT SHOWN"}},
		"one namespace's pods":      {[]string{"pods/lab"}, "/pods", 200, []string{"lab        mine", "NOT SHOWN    " + omitted}, []string{"face-0", "gone"}},
		"no namespace's pods":       {nil, "/pods", 200, []string{"NOT SHOWN"}, []string{"face-0", "mine", "gone", "admitted no pod"}},
		"nodes, not all pods":       {[]string{"nodes", "pods/lab"}, "/nodes", 200, []string{"lab/mine-too", "busy", hidden, "NOT SHOWN    " + omitted}, []string{"face-0", "face-3", "share-1"}},
		"a node, not its pods":      {[]string{"nodes"}, "/nodes/node-g", 200, []string{"held by      " + hidden, "NOT SHOWN"}, []string{"face-0", "face-3", "lab"}},
		"its pods, not nodes":       {[]string{"pods"}, "/nodes", 403, []string{"you may not list nodes"}, []string{"node-g"}},
		"one node without nodes":    {[]string{"pods"}, "/nodes/node-g", 403, []string{"you may not list nodes"}, []string{"CPU"}},
		"its own pod":               {[]string{"pods/lab", "nodes"}, "/pods/lab/mine", 200, []string{"lab/mine", "held by " + hidden, "NOT SHOWN    " + omitted}, []string{"face-0", "nodes, which"}},
		"its own pod without nodes": {[]string{"pods/lab"}, "/pods/lab/mine", 200, []string{"lab/mine", "2 passed, 1 rejected", "NOT SHOWN    nodes, which you may not list"}, []string{"node-u", "node-g"}},
		"another's pod":             {[]string{"pods/lab", "nodes"}, "/pods/default/face-0", 403, []string{`you may not list pods in namespace "default"`}, []string{"GPU"}},
		"another's pod, no such":    {[]string{"pods/lab", "nodes"}, "/pods/default/none", 403, []string{`you may not list pods in namespace "default"`}, nil},
		"profiles":                  {[]string{"inferenceprofiles.heteroaccel.io"}, "/profiles", 200, []string{"face-recognition", "NOT SHOWN"}, []string{"bypassed"}},
		"profiles without rights":   {[]string{"pods"}, "/profiles", 403, []string{"you may not list inferenceprofiles.heteroaccel.io"}, []string{"face-recognition"}},
		"a profile without rights":  {[]string{"pods"}, "/profiles/face-recognition", 403, []string{"you may not list"}, []string{"registry"}},
		"the configuration":         {[]string{"pods"}, "/scheduler/config", 403, []string{"you may not list"}, []string{"fpga"}},
		"the index":                 {nil, "/", 200, []string{"/nodes", "NOT SHOWN"}, []string{"bypassed", "face-0"}},
	} {
		t.Run(name, func(t *testing.T) {
			r := scene(t)
			r.SetPod(extendertest.Managed("mine", "", "GPU", extendertest.In("lab"), extendertest.GPU, "1"))
			r.SetPod(extendertest.Managed("mine-too", "node-n", "NPU", extendertest.In("lab"), extendertest.NPU, "1"))
			r.history.SetFilter("uid-mine", history.Call{Time: extendertest.Now, Passed: 2, Rejected: 1, Nodes: []history.Node{{Name: "node-u", Message: "GPU 0000:00:02.0 is unhealthy"}}})
			r.notRecreated = []kube.NotRecreated{{Namespace: "default", Name: "gone", Refused: "no"}}
			r.bypassed = []bypass.Report{{Resource: extendertest.GPU, Pods: 1, LastPod: "default/face-0", Message: "default-scheduler bound default/face-0: it bypassed"}}
			r.mayList = func(resource schema.GroupResource, namespace string) (bool, error) {
				asked := resource.String()
				if namespace != "" {
					asked += "/" + namespace
				}
				return slices.Contains(tt.rights, asked), nil
			}
			for _, format := range []string{"text", "json"} {
				status, _, body := r.get(t, tt.path+"?format="+format)
				if status != tt.status {
					t.Errorf("%s: status %d, want %d: %s", format, status, tt.status, body)
				}
				for _, s := range tt.shows {
					if format == "text" && !strings.Contains(body, s) {
						t.Errorf("%q is not in\n%s", s, body)
					}
				}
				for _, s := range tt.hides {
					if strings.Contains(body, s) {
						t.Errorf("%s: %q is in\n%s", format, s, body)
					}
				}
				if told := strings.Contains(strings.Join(tt.shows, ""), "NOT SHOWN"); format == "json" && strings.Contains(body, `"notShown"`) != told {
					t.Errorf("JSON tells what it leaves out: %v, want %v: %s", !told, told, body)
				}
			}
		})
	}
}

// TestUnknownRights: without the API server's word nothing is shown.
func TestUnknownRights(t *testing.T) {
	r := scene(t)
	r.mayList = func(schema.GroupResource, string) (bool, error) { return true, errors.New("no route to it") }
	for _, path := range []string{"/", "/nodes", "/nodes/node-g", "/pods", "/pods/default/face-0", "/profiles", "/scheduler/config"} {
		if path == "/" {
			r.bypassed = []bypass.Report{{LastPod: "default/face-0"}} // else there is nothing to ask about
		}
		if status, _, body := r.get(t, path); status != http.StatusServiceUnavailable || !strings.Contains(body, "try again") || strings.Contains(body, "face") {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
}
