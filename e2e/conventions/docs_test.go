package conventions

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestDocsNameRealTests: what these pages say happens when things break, or grow
// without end, is held by tests that there are.
func TestDocsNameRealTests(t *testing.T) {
	var page, tests strings.Builder
	for _, name := range []string{"architecture.md", "bounds.md"} {
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
