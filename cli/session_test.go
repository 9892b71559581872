package main

import (
	"path/filepath"
	"strings"
	"testing"
)

// TestForCommandLine: where a page says what to request, the program says what to run.
func TestForCommandLine(t *testing.T) {
	for words, want := range map[string]string{
		"and 3 more nodes: see ?format=json": "and 3 more nodes: see -o json",
		"never asked, although the pod was bound: see / for the resources that kube-scheduler does not ask about": "never asked, although the pod was bound: heteroaccel check names the resources that kube-scheduler does not ask about",
		"held by default/face-0": "held by default/face-0",
	} {
		if got := forCommandLine(words); got != want {
			t.Errorf("%q: %q, want %q", words, got, want)
		}
	}
	// They are the extender's words still.
	var pages string
	for _, source := range []string{"pods.go", "nodes.go", "wait_text.go"} {
		pages += file(t, filepath.Join("../extender/explain", source))
	}
	for _, words := range []string{"GET /pods lists all", "GET /nodes lists all", "see / for the resources that kube-scheduler does not ask about", "see ?format=json"} {
		if !strings.Contains(pages, words) {
			t.Errorf("no page says %q any more", words)
		}
	}
}
