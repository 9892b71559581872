package conventions

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the pages that are generated")

// flagsPage is the reference of the programs' flags.
const flagsPage = "docs/flags.md"

const flagsIntro = `# Flags

What the programs' ` + "`--help`" + ` prints. ` + "`make generate`" + ` writes this page; the text of
a flag is changed in its program.
`

// TestFlagsPage: the page is what the programs print.
func TestFlagsPage(t *testing.T) {
	var page strings.Builder
	page.WriteString(flagsIntro)
	for _, program := range []string{"webhook", "extender", "exporter", "connector", "connector/camera"} {
		fmt.Fprintf(&page, "\n## %s\n\n```text\n%s\n```\n", path.Base(program), help(t, program))
	}
	for _, program := range []string{"webhook", "extender", "exporter", "connector"} {
		fmt.Fprintf(&page, "\n## %s healthcheck\n\n```text\n%s\n```\n", program, help(t, program, "healthcheck"))
	}
	for _, command := range []string{"", "explain", "queue", "top", "nodes", "decisions", "check", "scheduler-config"} {
		fmt.Fprintf(&page, "\n## %s\n\n```text\n%s\n```\n", strings.TrimSpace("heteroaccel "+command), commandHelp(t, command))
	}
	if *update {
		if err := os.WriteFile(filepath.Join(root, flagsPage), []byte(page.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(page.String(), read(t, flagsPage)); diff != "" {
		t.Errorf("%s is not what the programs print; write it with make generate (-want +got):\n%s", flagsPage, diff)
	}
}

// commandHelp are the flags of a command of the command line program, without those
// that all its commands have; of no command, these.
func commandHelp(t *testing.T, command string) string {
	t.Helper()
	cmd := exec.Command("go", append([]string{"run", "./cli"}, append(strings.Fields(command), "--help")...)...)
	cmd.Dir = root
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("heteroaccel %s --help: %v\n%s", command, err, out)
	}
	_, below, ok := strings.Cut(string(out), "\nFlags:\n")
	below, _, _ = strings.Cut(below, "\nGlobal Flags:\n")
	below, _, _ = strings.Cut(below, "\nUse \"")
	if !ok || !strings.Contains(below, "--") {
		t.Fatalf("heteroaccel %s --help names no flags:\n%s", command, out)
	}
	return strings.Trim(below, "\n")
}

// help is what the --help of a program, or of a command of it, prints below the line of
// its usage.
func help(t *testing.T, program string, command ...string) string {
	t.Helper()
	words := append([]string{"run", "./" + program}, command...)
	cmd := exec.Command("go", append(words, "--help")...)
	cmd.Dir = root
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %v --help: %v\n%s", program, command, err, out)
	}
	_, below, ok := strings.Cut(string(out), "Usage: "+strings.Join(append([]string{path.Base(program)}, command...), " ")+" [flags]\n")
	if !ok || !strings.Contains(below, "--") {
		t.Fatalf("%s %v --help names no flags beneath its usage:\n%s", program, command, out)
	}
	return strings.Trim(below, "\n")
}
