package show

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"heteroaccel.io/cli/pages"
)

var update = flag.Bool("update", false, "write the golden files")

// page reads a page as the extender's own tests serve it.
func page[T any](t *testing.T, name string) (v T) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("../../extender/explain/testdata", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// golden compares with a file of testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(want) != got {
		t.Errorf("%s differs; -update rewrites it\n--- want\n%s--- got\n%s", path, want, got)
	}
}

// TestTables: of the cluster of the extender's tests, in which some things are wrong, each
// table is what its file has.
func TestTables(t *testing.T) {
	nodes, pods, decisions := page[pages.Nodes](t, "nodes"), page[pages.Pods](t, "pods"), page[pages.Decisions](t, "decisions")
	for name, text := range map[string]func(wide bool) string{
		"queue":     QueueOf(pods, "").Text,
		"top":       TopOf(nodes, pods).Text,
		"decisions": func(wide bool) string { return Decisions(DecisionsOf(decisions, ""), wide) },
	} {
		golden(t, name+".txt", text(false))
		golden(t, name+"-wide.txt", text(true))
	}
	golden(t, "nodes-wide.txt", Nodes(nodes.Nodes))
	for name, v := range map[string]any{"queue": QueueOf(pods, ""), "top": TopOf(nodes, pods)} {
		text, err := json.MarshalIndent(v, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		golden(t, name+".json", string(text)+"\n")
	}
}

// TestDocs: docs/cli.md shows what the commands print.
func TestDocs(t *testing.T) {
	docs, err := os.ReadFile("../../docs/cli.md")
	if err != nil {
		t.Fatal(err)
	}
	for command, path := range map[string]string{
		"top": "testdata/top.txt", "queue": "testdata/queue.txt", "decisions": "testdata/decisions.txt",
		"explain picky": "../../extender/explain/testdata/picky.txt",
	} {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(docs), "```console\n$ heteroaccel "+command+"\n"+string(text)+"```\n") {
			t.Errorf("docs/cli.md does not show of heteroaccel %s what it prints:\n%s", command, text)
		}
	}
}
