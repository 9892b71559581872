package conventions

import (
	"go/ast"
	"go/token"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// words are what is not said here, and what is said instead: see
// docs/glossary.md. A pattern is looked for in comments, texts and pages, in
// small letters.
var words = []struct {
	not     *regexp.Regexp
	instead string
	// except are files, or folders with a slash at the end, in which the word
	// has another sense, the field's own.
	except []string
}{
	{not: word(`(made|make|makes|making) (it|them|one|the pod|a pod)? ?(again|anew)`), instead: "recreate"},
	{
		not: word(`samples?|sampled`), instead: "telemetry, or a scrape: a sample is one value of one series of Prometheus'",
		except: append([]string{"pkg/monitor/", "exporter/collector/", "pkg/telemetry/contract.go"}, ofRuns...),
	},
	{not: word(`(used|use) from outside|from the outside|outside use`), instead: "external use: a process outside Kubernetes uses a device"},
	{not: word(`(goes|go|went) before`), instead: "is ordered before, overtakes, or overrides"},
	{not: word(`(given|gives|give|gave|giving) back`), instead: "release"},
	{not: word(`reckon(s|ed|ing)?`), instead: "estimate, or count"},
	{not: word(`(is|are|was|were|be|not) believed|believes?`), instead: "accept, or trust"},
	{not: word(`says? so`), instead: "report"},
	{not: word(`tickets?`), instead: "expected replacement"},
	{not: word(`turn in the queue|(waiting|stands?|stand) in line|queue up|head of the line`), instead: "queue position, or pending"},
}

// ofRuns speak of samples in the sense of statistics: the runs that a service
// time was learned from, as the profile's status has it.
var ofRuns = []string{
	"pkg/profile/", "pkg/servicetime/", "pkg/policy/", "webhook/learner/", "webhook/learning/",
	"e2e/learn_test.go", "e2e/profiles_test.go",
}

// word matches a pattern as whole words.
func word(pattern string) *regexp.Regexp { return regexp.MustCompile(`\b(?:` + pattern + `)\b`) }

// saysNothing are the folders and pages in which words are quoted.
var saysNothing = []string{"e2e/conventions/", "docs/glossary.md", "CHANGELOG.md"}

func TestWords(t *testing.T) {
	for _, s := range sources(t) {
		for _, c := range s.Comments {
			checkWords(t, s.path, s.line(c.Pos()), c.Text())
		}
		ast.Inspect(s.File, func(n ast.Node) bool {
			if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
				if text, err := strconv.Unquote(lit.Value); err == nil {
					checkWords(t, s.path, s.line(lit.Pos()), text)
				}
			}
			return true
		})
	}
	for _, page := range files(t, ".md") {
		checkWords(t, page, 1, read(t, page))
	}
}

// checkWords reports the words that a text, which begins at a line of a file,
// should not have. A line break counts as a space.
func checkWords(t *testing.T, path string, line int, text string) {
	t.Helper()
	if within(saysNothing, path) {
		return
	}
	flat := strings.ToLower(strings.ReplaceAll(text, "\n", " "))
	for _, w := range words {
		if within(w.except, path) {
			continue
		}
		for _, at := range w.not.FindAllStringIndex(flat, -1) {
			t.Errorf("%s:%d: %q: say %s", path, line+strings.Count(text[:at[0]], "\n"), flat[at[0]:at[1]], w.instead)
		}
	}
}

// within tells whether a path is in a list of files and folders.
func within(list []string, path string) bool {
	for _, l := range list {
		if path == l || strings.HasSuffix(l, "/") && strings.HasPrefix(path, l) {
			return true
		}
	}
	return false
}
