package conventions

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// root is the repository, as seen from here.
const root = "../.."

// files are the tree's own, as git knows them, tracked or new, by their paths
// from the root; ext is ".go" or the like.
func files(t *testing.T, ext string) []string {
	t.Helper()
	cmd := exec.Command("git", "ls-files", "--cached", "--others", "--exclude-standard", "*"+ext)
	cmd.Dir = root
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("git ls-files: %v", err)
	}
	found := slices.DeleteFunc(strings.Fields(string(out)), func(path string) bool {
		_, err := os.Stat(filepath.Join(root, path))
		return err != nil // deleted, and not committed yet
	})
	if len(found) < 5 {
		t.Fatalf("git lists only %d files in %s", len(found), ext)
	}
	return found
}

// read returns a file of the tree.
func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, path))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// source is a Go file that people wrote.
type source struct {
	path string
	fset *token.FileSet
	*ast.File
}

// line is where something stands in the file.
func (s source) line(p token.Pos) int { return s.fset.Position(p).Line }

// sources parses the Go files of the tree, but for the generated ones.
func sources(t *testing.T) []source {
	t.Helper()
	var all []source
	for _, path := range files(t, ".go") {
		fset := token.NewFileSet()
		file, err := parser.ParseFile(fset, filepath.Join(root, path), nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		if !ast.IsGenerated(file) {
			all = append(all, source{path, fset, file})
		}
	}
	return all
}
