package main

import (
	"bytes"
	"strings"
	"testing"

	"heteroaccel.io/cli/pages/pagestest"
)

// TestCompletion: kubectl completes our command line by the program under another name:
// commands, flags, the pods that HeteroAccel admitted, and nodes.
func TestCompletion(t *testing.T) {
	api := pagestest.New(t)
	api.Objects["/api/v1/namespaces/default/pods"] = `{"kind":"PartialObjectMetadataList","apiVersion":"meta.k8s.io/v1","items":[
		{"metadata":{"name":"face-0","annotations":{"heteroaccel.io/selected":"GPU"}}},
		{"metadata":{"name":"face-1","annotations":{"heteroaccel.io/selected":"NPU"}}},
		{"metadata":{"name":"fancy"}}]}`
	api.Objects["/api/v1/nodes"] = `{"kind":"PartialObjectMetadataList","apiVersion":"meta.k8s.io/v1","items":[{"metadata":{"name":"node-g"}}]}`
	api.Objects["/api/v1/namespaces"] = `{"kind":"PartialObjectMetadataList","apiVersion":"meta.k8s.io/v1","items":[{"metadata":{"name":"default"}},{"metadata":{"name":"lab"}}]}`
	for typed, want := range map[string]string{
		"e":                "explain",
		"explain f":        "face-0 face-1",
		"explain face-0 ":  "",
		"nodes ":           "node-g",
		"nodes x":          "",
		"queue -o ":        "json yaml wide",
		"queue -n ":        "default lab",
		"queue -n l":       "lab",
		"explain -n none ": "",
	} {
		t.Run(typed, func(t *testing.T) {
			words := strings.Split(typed, " ")
			argv := append([]string{"/usr/local/bin/kubectl_complete-heteroaccel.exe", "--server", api.URL}, words...)
			c := command(argv[0])
			c.SetArgs(arguments(argv))
			var out, notes bytes.Buffer
			c.SetOut(&out)
			c.SetErr(&notes)
			if err := c.Execute(); err != nil {
				t.Fatal(err)
			}
			var got []string
			for line := range strings.Lines(out.String()) {
				if word, _, _ := strings.Cut(strings.TrimSpace(line), "\t"); !strings.HasPrefix(word, ":") {
					got = append(got, word)
				}
			}
			if strings.Join(got, " ") != want {
				t.Errorf("%q is completed to %q, want %q; %s", typed, got, want, notes.String())
			}
		})
	}
}
