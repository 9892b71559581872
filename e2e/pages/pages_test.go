package pages

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// write makes a root with one page.
func write(t *testing.T, text string) string {
	t.Helper()
	root := t.TempDir()
	if err := os.WriteFile(filepath.Join(root, "README.md"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return root
}

func TestRead(t *testing.T) {
	root := write(t, strings.ReplaceAll(`# A page

With ''code'' and ''more code''.

<!-- run -->
'''console
$ ls \
    -l
total 0
$ true
'''

1. In a list:

   <!-- not run: it needs root -->
   '''console
   $ halt
   '''

'''yaml
a: ''b''
'''
`, "'", "`"))
	blocks, spans, err := Read(root, "README.md")
	if err != nil {
		t.Fatal(err)
	}
	want := []Block{
		{"README.md", 6, "A page", "console", "run", "$ ls \\\n    -l\ntotal 0\n$ true\n"},
		{"README.md", 16, "A page", "console", "not run: it needs root", "$ halt\n"},
		{"README.md", 20, "A page", "yaml", "", "a: ``b``\n"},
	}
	if diff := cmp.Diff(want, blocks); diff != "" {
		t.Errorf("blocks (-want +got):\n%s", diff)
	}
	if len(spans) == 0 || spans[0].Line != 3 {
		t.Errorf("inline code: %v", spans)
	}
	commands, err := blocks[0].Commands()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]Command{{"ls \\\n    -l", []string{"total 0"}}, {"true", nil}}, commands); diff != "" {
		t.Errorf("commands (-want +got):\n%s", diff)
	}
}

func TestReadNoEnd(t *testing.T) {
	if _, _, err := Read(write(t, "```text\nabc\n"), "README.md"); err == nil {
		t.Error("a block without an end is read")
	}
}

func TestNoCommand(t *testing.T) {
	if _, err := (Block{Text: "ls\n"}).Commands(); err == nil {
		t.Error("a line that is no command is taken for one")
	}
}

func TestTests(t *testing.T) {
	for mark, ok := range map[string]bool{
		"run": true, "run: control plane": true, "tested by: TestA": true, "not run: it needs root": true,
		"": false, "not run: ": false, "not run": false, "run it": false,
	} {
		if _, _, got := (Block{Mark: mark}).Tests(); got != ok {
			t.Errorf("mark %q: %v, want %v", mark, got, ok)
		}
	}
	tests, _, _ := Block{Mark: "tested by: TestA, TestB"}.Tests()
	if diff := cmp.Diff([]string{"TestA", "TestB"}, tests); diff != "" {
		t.Errorf("tests (-want +got):\n%s", diff)
	}
}

func TestShown(t *testing.T) {
	const output = "NODE  KIND\ng     GPU  busy\nn     NPU  idle\n"
	for name, tt := range map[string]struct {
		shown   []string
		missing string
	}{
		"nothing":       {nil, ""},
		"a line":        {[]string{"n     NPU  idle"}, ""},
		"with a gap":    {[]string{"NODE  KIND", "…", "n  …  idle"}, ""},
		"other widths":  {[]string{"NODE    KIND", "g  GPU       busy"}, ""},
		"another order": {[]string{"n     NPU  idle", "g     GPU  busy"}, "g     GPU  busy"},
		"part of one":   {[]string{"NODE"}, "NODE"},
	} {
		t.Run(name, func(t *testing.T) {
			missing, ok := Command{Output: tt.shown}.Shown(output)
			if missing != tt.missing || ok != (tt.missing == "") {
				t.Errorf("missing %q, %v; want %q", missing, ok, tt.missing)
			}
		})
	}
}
