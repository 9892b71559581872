package conventions

import (
	"context"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	"sigs.k8s.io/yaml"

	"heteroaccel.io/e2e/pages"
	"heteroaccel.io/pkg/profile/v1alpha1"
)

// repository is the root, as seen from here.
const repository = "../.."

// everyPage returns the blocks and the inline code of all pages.
func everyPage(t *testing.T) (blocks []pages.Block, spans []pages.Span) {
	t.Helper()
	paths, err := pages.Paths(repository)
	if err != nil {
		t.Fatal(err)
	}
	if len(paths) < 15 {
		t.Fatalf("there are only %d pages", len(paths))
	}
	for _, p := range paths {
		b, s, err := pages.Read(repository, p)
		if err != nil {
			t.Fatal(err)
		}
		blocks, spans = append(blocks, b...), append(spans, s...)
	}
	return blocks, spans
}

// indented is a command in the old form of a block, which nothing would check.
var indented = regexp.MustCompile(`^    +\$? ?(kubectl|make|go|curl|sudo|docker|git|sed) `)

// TestCommandsAreRunOrMarked: of every command in the pages it is known what
// runs it, or that nothing does.
func TestCommandsAreRunOrMarked(t *testing.T) {
	tests := functions(t)
	blocks, _ := everyPage(t)
	for _, b := range blocks {
		switch b.Language {
		case "yaml", "text", "go", "promql":
			if strings.HasPrefix(b.Text, "$ ") || strings.Contains(b.Text, "\n$ ") {
				t.Errorf("%s: commands stand in a block of console, with a mark above it", b)
			}
			continue
		case "console":
		default:
			t.Errorf("%s: a block of %q: use console for commands, else yaml, text, go or promql", b, b.Language)
			continue
		}
		named, _, ok := b.Tests()
		if !ok {
			t.Errorf("%s: the line above must say what runs the commands, as the package pages says; it says %q", b, b.Mark)
		}
		for _, name := range named {
			if !slices.Contains(tests, name) {
				t.Errorf("%s: there is no %s", b, name)
			}
		}
		if _, err := b.Commands(); err != nil {
			t.Error(err)
		}
	}
	paths, err := pages.Paths(repository)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range paths {
		text, err := os.ReadFile(filepath.Join(repository, p))
		if err != nil {
			t.Fatal(err)
		}
		outside := true
		for line := range strings.Lines(string(text)) {
			if strings.HasPrefix(strings.TrimSpace(line), "```") {
				outside = !outside
			}
			if outside && indented.MatchString(line) {
				t.Errorf("%s: put this command in a block of console: %s", p, strings.TrimSpace(line))
			}
		}
	}
}

// functions are the names of all tests of the repository.
func functions(t *testing.T) []string {
	t.Helper()
	var names []string
	declared := regexp.MustCompile(`(?m)^func (Test\w+)\(`)
	walk(t, "_test.go", func(_, text string) {
		for _, m := range declared.FindAllStringSubmatch(text, -1) {
			names = append(names, m[1])
		}
	})
	return names
}

// walk reads every Go file whose name ends so.
func walk(t *testing.T, ending string, read func(path, text string)) {
	t.Helper()
	err := filepath.WalkDir(repository, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ending) {
			return err
		}
		text, err := os.ReadFile(path)
		if err == nil {
			read(path, string(text))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestCommandsRun runs the commands that are marked so, and looks for what the
// page shows of their output.
func TestCommandsRun(t *testing.T) {
	blocks, _ := everyPage(t)
	ran := 0
	for _, b := range blocks {
		if b.Language != "console" || b.Mark != pages.Run {
			continue
		}
		ran++
		t.Run(b.String(), func(t *testing.T) {
			commands, err := b.Commands()
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range commands {
				ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
				cmd := exec.CommandContext(ctx, "bash", "-euo", "pipefail", "-c", c.Text)
				cmd.Dir = repository
				out, err := cmd.CombinedOutput()
				cancel()
				if err != nil {
					t.Fatalf("%s: %v\n%s", c.Text, err, out)
				}
				if missing, ok := c.Shown(string(out)); !ok {
					t.Errorf("%s does not print %q, which the page shows, but:\n%s", c.Text, missing, out)
				}
			}
		})
	}
	if ran < 2 {
		t.Errorf("only %d blocks are marked to be run", ran)
	}
}

var (
	makeTarget     = regexp.MustCompile(`(?:^|[\s;&|])make ((?:[a-z](?:[a-z0-9.-]*[a-z0-9])?\s?)+)`)
	makefileTarget = regexp.MustCompile(`(?m)^([a-z][a-z0-9. -]*):`)
	// path is one of the repository: a folder of its root, and more.
	repositoryPath = regexp.MustCompile(`^(?:\./)?((?:certs|cli|deploy|docs|e2e|exporter|extender|pkg|webhook)/[\w./-]*[\w/])$`)
	// ourFlag is how a flag of a program is declared.
	ourFlag       = regexp.MustCompile(`\.\w+VarP?\([^,]+, "([a-z][a-z.-]+)"`)
	flagWord      = regexp.MustCompile(`^--([a-z][a-z.-]+)(?:=.*)?$`)
	metricWord    = regexp.MustCompile(`(?:^|[^:\w])(heteroaccel_[a-z_]+)`)
	metricLiteral = regexp.MustCompile(`"(heteroaccel_\w+)"`)
	metricSuffix  = regexp.MustCompile(`_(count|bucket|sum)$`) // of a histogram
)

// otherFlags are those of other programs that the pages speak of.
var otherFlags = []string{
	"admission-control-config-file", "all", "annotations", "archive", "as", "batch_size", "body-timeout", "cacert", "cert", "config", "config_path", "context", "create-namespace", "dry-run", "field-selector", "for", "from-file", "from-literal", "help", "ignore-missing", "ignore-not-found", "image", "json", "key", "kubeconfig",
	"leader-elect", "list", "logs", "manifest", "model_name", "model_path", "name", "namespace", "no-deps", "overwrite", "port", "profile", "reset-then-reuse-values", "restart", "reuse-values", "rm", "server", "server-side", "set", "show-managed-fields", "target_device", "timeout", "values", "version", "volumes", "wait",
}

// TestPagesNameWhatThereIs: make targets, files, flags and metrics that the
// pages name, in commands and inline, exist.
func TestPagesNameWhatThereIs(t *testing.T) {
	var targets, flags, metrics []string
	makefile, err := os.ReadFile(repository + "/Makefile")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range makefileTarget.FindAllStringSubmatch(string(makefile), -1) {
		targets = append(targets, strings.Fields(m[1])...)
	}
	walk(t, ".go", func(at, text string) {
		if strings.HasSuffix(at, "_test.go") {
			return
		}
		if !strings.HasPrefix(at, repository+"/e2e/") {
			for _, m := range ourFlag.FindAllStringSubmatch(text, -1) {
				flags = append(flags, m[1])
			}
			for _, m := range metricLiteral.FindAllStringSubmatch(text, -1) {
				metrics = append(metrics, m[1])
			}
		}
	})
	if len(targets) < 10 || len(flags) < 20 || len(metrics) < 20 {
		t.Fatalf("found only %d targets, %d flags and %d metrics", len(targets), len(flags), len(metrics))
	}
	check := func(where, text string) {
		for _, m := range makeTarget.FindAllStringSubmatch(text, -1) {
			for target := range strings.FieldsSeq(m[1]) {
				if !slices.Contains(targets, target) {
					t.Errorf("%s: the Makefile has no target %s", where, target)
				}
			}
		}
		for word := range strings.FieldsSeq(text) {
			word = strings.Trim(word, "`'\",;:()[]|")
			if m := flagWord.FindStringSubmatch(word); m != nil && !slices.Contains(flags, m[1]) && !slices.Contains(otherFlags, m[1]) {
				t.Errorf("%s: no program of ours has the flag --%s", where, m[1])
			}
			if m := repositoryPath.FindStringSubmatch(word); m != nil {
				if _, err := os.Stat(filepath.Join(repository, strings.TrimSuffix(m[1], "/..."))); err != nil {
					t.Errorf("%s: there is no %s", where, m[1])
				}
			}
		}
		for _, m := range metricWord.FindAllStringSubmatch(text, -1) {
			if name := metricSuffix.ReplaceAllString(m[1], ""); !slices.Contains(metrics, name) {
				t.Errorf("%s: no program of ours has the metric %s", where, name)
			}
		}
	}
	blocks, spans := everyPage(t)
	spans = slices.DeleteFunc(spans, func(s pages.Span) bool { return s.Page == "CHANGELOG.md" }) // it names what is no more
	for _, b := range blocks {
		commands, err := b.Commands()
		if b.Language != "console" || err != nil {
			continue
		}
		for _, c := range commands {
			check(b.String(), c.Text)
		}
	}
	for _, s := range spans {
		check(s.Page, s.Text)
	}
}

// TestPagesYAML: what the pages show of our API, and of Jobs, is what the
// types say, to the last field.
func TestPagesYAML(t *testing.T) {
	blocks, _ := everyPage(t)
	whole := 0
	for _, b := range blocks {
		if b.Language != "yaml" {
			continue
		}
		var object struct{ Kind string }
		if err := yaml.Unmarshal([]byte(b.Text), &object); err != nil {
			t.Errorf("%s: %v", b, err)
			continue
		}
		var err error
		switch object.Kind {
		case "InferenceProfile":
			err = yaml.UnmarshalStrict([]byte(b.Text), &v1alpha1.InferenceProfile{})
		case "Job":
			err = yaml.UnmarshalStrict([]byte(b.Text), &batchv1.Job{})
		default:
			continue
		}
		if whole++; err != nil {
			t.Errorf("%s: %v", b, err)
		}
	}
	if whole < 2 {
		t.Errorf("the pages show only %d whole objects", whole)
	}
}
