package conventions

import (
	"encoding/json"
	"errors"
	"go/parser"
	"go/token"
	"io"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

const module = "heteroaccel.io"

type pkg struct {
	ImportPath, Dir, Name string
	GoFiles               []string
	Imports               []string
	TestImports           []string
}

// listed is what the go command knows of our packages, asked once.
var listed = sync.OnceValues(exec.Command("go", "list", "-json=ImportPath,Dir,Name,GoFiles,Imports,TestImports", module+"/...").Output)

func packages(t *testing.T) []pkg {
	t.Helper()
	out, err := listed()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var all []pkg
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
	if len(all) < 15 {
		t.Fatalf("go list found only %d packages", len(all))
	}
	return all
}

func inFolder(path, dir string) bool {
	return path == module+"/"+dir || strings.HasPrefix(path, module+"/"+dir+"/")
}

// forbidden lists what a package may not import, and why.
var forbidden = []struct {
	from, to []string // folders of ours, or import path prefixes
	why      string
}{
	{[]string{"pkg"}, []string{module + "/extender", module + "/webhook", module + "/exporter", module + "/connector"}, "shared packages know no program"},
	{[]string{"extender"}, []string{module + "/webhook", module + "/exporter", module + "/connector"}, "a program imports no other program"},
	{[]string{"webhook"}, []string{module + "/extender", module + "/exporter", module + "/connector"}, "a program imports no other program"},
	{[]string{"exporter"}, []string{module + "/extender", module + "/webhook", module + "/connector"}, "a program imports no other program"},
	{[]string{"cli"}, []string{module + "/extender", module + "/webhook", module + "/exporter", module + "/connector"}, "a program imports no other program"},
	{[]string{"extender", "webhook", "exporter", "connector", "cli", "pkg"}, []string{module + "/e2e"}, "nothing that ships imports the tests"},
	{
		[]string{
			"pkg/accel", "pkg/inventory", "pkg/quota", "pkg/resources", "pkg/servicetime", "pkg/policy", "extender/placement",
			"webhook/mutate", "webhook/variant", "webhook/replacement", "webhook/readmit/choice", "webhook/readmit/pending",
		},
		[]string{"net/http", "k8s.io/client-go", "github.com/prometheus/", module + "/pkg/kube", module + "/pkg/monitor", module + "/pkg/serve"},
		"decisions are pure: no transport, no client",
	},
	{
		[]string{"pkg/quota", "pkg/resources", "pkg/servicetime"},
		[]string{module + "/pkg/inventory"},
		"they count and compare; the inventory uses them, not they it",
	},
	{
		[]string{"webhook/mutate", "webhook/variant", "webhook/readmit", "extender/placement"},
		[]string{module + "/webhook/server", module + "/extender/server"},
		"imports point down: main, server, then the pure packages",
	},
	{
		[]string{"webhook/readmit/pending", "webhook/readmit/choice", "webhook/readmit/podapi", "webhook/readmit/barepod"},
		[]string{module + "/webhook/readmit/recreate", module + "/webhook/readmit/requeue"},
		"the parts of readmission are called in one direction: the loop, what it does, what they share",
	},
	{
		[]string{"extender/explain"}, []string{module + "/extender/verbs", module + "/extender/server"},
		"the pages explain the scheduler's calls from their history, and never take part in them",
	},
	{
		[]string{"extender/verbs"}, []string{module + "/extender/explain", module + "/extender/bypass", module + "/extender/server"},
		"the scheduler's calls depend on nothing that only people read",
	},
	{
		[]string{"extender/history", "extender/bypass"}, []string{module + "/extender/verbs", module + "/extender/explain", module + "/extender/server"},
		"what is remembered knows neither who writes it nor who reads it",
	},
	{[]string{"webhook/server", "webhook/refusals", "webhook/replacement"}, []string{module + "/webhook/readmit"}, "admission knows what replaces a pod, not how it is recreated"},
}

func TestImportsPointDown(t *testing.T) {
	for _, p := range packages(t) {
		for _, rule := range forbidden {
			if !slices.ContainsFunc(rule.from, func(dir string) bool { return inFolder(p.ImportPath, dir) }) {
				continue
			}
			for _, imported := range p.Imports {
				for _, to := range rule.to {
					if imported == to || strings.HasPrefix(imported, strings.TrimSuffix(to, "/")+"/") {
						t.Errorf("%s imports %s: %s", p.ImportPath, imported, rule.why)
					}
				}
			}
		}
	}
}

// TestOneMutex holds the rule that state shared between goroutines lives in
// the inventory: a lock anywhere else that decides is a second truth.
func TestOneMutex(t *testing.T) {
	for _, p := range packages(t) {
		for _, dir := range []string{"pkg/accel", "pkg/quota", "pkg/resources", "pkg/servicetime", "pkg/policy", "extender/placement", "webhook/mutate", "webhook/variant"} {
			if inFolder(p.ImportPath, dir) && slices.Contains(p.Imports, "sync") {
				t.Errorf("%s imports sync: state belongs to pkg/inventory", p.ImportPath)
			}
		}
	}
}

func TestEveryPackageHasADoc(t *testing.T) {
	for _, p := range packages(t) {
		if len(p.GoFiles) == 0 {
			continue
		}
		documented := false
		for _, f := range p.GoFiles {
			file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(p.Dir, f), nil, parser.PackageClauseOnly|parser.ParseComments)
			if err != nil {
				t.Fatal(err)
			}
			documented = documented || file.Doc != nil
		}
		if !documented {
			t.Errorf("%s has no package comment: say what enters, what leaves and what it never does", p.ImportPath)
		}
	}
}

func TestNoFileIsNamedForNothing(t *testing.T) {
	for _, p := range packages(t) {
		for _, f := range p.GoFiles {
			switch f {
			case "utils.go", "util.go", "common.go", "helpers.go", "types.go", "const.go", "constants.go":
				t.Errorf("%s/%s: name a file for what it does", p.ImportPath, f)
			}
		}
	}
}
