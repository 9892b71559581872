package conventions

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestDocsNameRealTests: what these pages say of failures, growth and attacks is
// held by tests that there are.
func TestDocsNameRealTests(t *testing.T) {
	var page, tests strings.Builder
	for _, name := range []string{"architecture.md", "bounds.md", "threat-model.md"} {
		text, err := os.ReadFile(filepath.Join("../../docs", name))
		if err != nil {
			t.Fatal(err)
		}
		page.Write(text)
	}
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		tests.Write(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile("`(Test[A-Za-z]+)(?:/([a-z_]+))?`").FindAllStringSubmatch(page.String(), -1)
	if len(named) < 20 {
		t.Fatalf("the pages name only %d tests", len(named))
	}
	for _, n := range named {
		if !strings.Contains(tests.String(), "func "+n[1]+"(t *testing.T)") {
			t.Errorf("there is no %s", n[1])
		}
		if sub := strings.ReplaceAll(n[2], "_", " "); sub != "" && !strings.Contains(tests.String(), `"`+sub+`"`) {
			t.Errorf("%s has no subtest %q", n[1], sub)
		}
	}
}

// TestEveryBoundNamesItsTest: a row of the table of bounds is held by a test.
func TestEveryBoundNamesItsTest(t *testing.T) {
	text, err := os.ReadFile("../../docs/bounds.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := 0
	for line := range strings.Lines(string(text)) {
		if !strings.HasPrefix(line, "| ") || strings.HasPrefix(line, "| What |") {
			continue
		}
		rows++
		if cells := strings.Split(strings.TrimSpace(line), "|"); !strings.Contains(cells[len(cells)-2], "`Test") {
			t.Errorf("no test in the last column of: %s", line)
		}
	}
	if rows < 15 {
		t.Errorf("found only %d rows", rows)
	}
}
