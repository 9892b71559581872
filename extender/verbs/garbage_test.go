package verbs

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"heteroaccel.io/extender/extendertest"
)

func TestGarbage(t *testing.T) {
	r := newRig(t, extendertest.Fixed)
	const notArgs = "the body is not the JSON of ExtenderArgs that kube-scheduler sends"
	tests := map[string]struct {
		method, contentType, body string
		status                    int
		sentence                  string
	}{
		"empty":              {"POST", "application/json", "", 400, "the body is empty: send a JSON object"},
		"not JSON":           {"POST", "application/json", "hello", 400, notArgs},
		"cut off":            {"POST", "application/json", `{"Pod":{"metadata":`, 400, notArgs},
		"more after it":      {"POST", "application/json", `{"Pod":{},"NodeNames":["a"]} {}`, 400, notArgs},
		"an array":           {"POST", "application/json", `[]`, 400, notArgs},
		"wrong type":         {"POST", "application/json", `{"Pod":{},"NodeNames":[1]}`, 400, notArgs},
		"wrong inside":       {"POST", "application/json", `{"Pod":{},"NodeNames":["a"],"x":[1,]}`, 400, notArgs},
		"no UTF-8":           {"POST", "application/json", "{\"Pod\":{},\"NodeNames\":[\"\xff\xfe\"]}", 400, "the body is not valid UTF-8"},
		"half a surrogate":   {"POST", "application/json", `{"Pod":{},"NodeNames":["\ud800"]}`, 400, notArgs},
		"control character":  {"POST", "application/json", "{\"Pod\":{},\"NodeNames\":[\"a\nb\"]}", 400, notArgs},
		"NULs":               {"POST", "application/json", strings.Repeat("\x00", 4096), 400, notArgs},
		"deep":               {"POST", "application/json", `{"Pod":` + strings.Repeat(`{"x":`, 1e6), 400, notArgs},
		"null":               {"POST", "application/json", "null", 400, "the body holds no Pod: send ExtenderArgs, as kube-scheduler does"},
		"no pod":             {"POST", "application/json", `{"NodeNames":["a"]}`, 400, "the body holds no Pod: send ExtenderArgs, as kube-scheduler does"},
		"no nodes":           {"POST", "application/json", `{"Pod":{}}`, 400, "the body holds neither NodeNames nor Nodes: send ExtenderArgs, as kube-scheduler does"},
		"null nodes":         {"POST", "application/json", `{"Pod":{},"NodeNames":null,"Nodes":null}`, 400, "the body holds neither NodeNames nor Nodes: send ExtenderArgs, as kube-scheduler does"},
		"a node, no name":    {"POST", "application/json", `{"Pod":{},"Nodes":{"items":[{"metadata":{}}]}}`, 400, "item 0 of Nodes has no metadata.name"},
		"a node is null":     {"POST", "application/json", `{"Pod":{},"Nodes":{"items":[null]}}`, 400, "item 0 of Nodes has no metadata.name"},
		"50 MB":              {"POST", "application/json", strings.Repeat("x", 50<<20), 413, ""},
		"wrong content type": {"POST", "text/plain", `{}`, 415, ""},
		"no content type":    {"POST", "", `{}`, 415, ""},
		"wrong method":       {"GET", "application/json", "", 405, "GET is not possible at PATH: use POST"},
		"another method":     {"DELETE", "", "", 405, "DELETE is not possible at PATH: use POST"},
	}
	for name, tt := range tests {
		for _, path := range []string{"/scheduler/filter", "/scheduler/prioritize"} {
			t.Run(name+path, func(t *testing.T) {
				req, err := http.NewRequest(tt.method, r.URL+path, strings.NewReader(tt.body))
				if err != nil {
					t.Fatal(err)
				}
				req.Header.Set("Content-Type", tt.contentType)
				resp, err := http.DefaultClient.Do(req)
				if err != nil {
					t.Fatal(err)
				}
				defer resp.Body.Close()
				var failure struct{ Error string }
				if err := json.NewDecoder(resp.Body).Decode(&failure); err != nil {
					t.Fatalf("%s: %v", resp.Status, err)
				}
				if want := strings.ReplaceAll(tt.sentence, "PATH", path); resp.StatusCode != tt.status || failure.Error == "" || want != "" && failure.Error != want {
					t.Errorf("got %d %q, want %d %q", resp.StatusCode, failure.Error, tt.status, want)
				}
				if tt.status == 405 && resp.Header.Get("Allow") != "POST" {
					t.Errorf("Allow: %q", resp.Header.Get("Allow"))
				}
			})
		}
	}
	r.SetGPUNodes() // and it works as ever
	if got := r.filter(t, extendertest.Managed("a", "", "GPU", nil, gpu, "1"), "idle", "sick"); len(*got.NodeNames) != 1 {
		t.Errorf("after garbage: %+v", got)
	}
}
