package e2e

import (
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"heteroaccel.io/e2e/cluster"
	"heteroaccel.io/e2e/pages"
	"heteroaccel.io/e2e/stack"
)

// record is the name of one of the many Secrets that keep bare pods.
var record = regexp.MustCompile(`(heteroaccel-readmission-)\d+`)

// canonical is a line of a list of rights, with its verbs in order: the API server
// has them in any.
func canonical(line string) string {
	fields := strings.Fields(record.ReplaceAllString(line, "$1…"))
	line = strings.Join(fields, " ")
	at := strings.LastIndexByte(line, '[')
	if at < 0 || !strings.HasSuffix(line, "]") {
		return line
	}
	verbs := strings.Fields(line[at+1 : len(line)-1])
	slices.Sort(verbs)
	return line[:at+1] + strings.Join(verbs, " ") + "]"
}

// rightsPage: the page has a list of each of our service accounts.
func rightsPage(t *testing.T, s *stack.Stack) {
	root, err := cluster.Root()
	if err != nil {
		t.Fatal(err)
	}
	if said, err := s.Kubectl(t.Context(), "apply", "--server-side", "-f", filepath.Join(root, "deploy", "prometheus", "rbac.yaml")); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	accounts := rightsListed(t, s, "TestRights")
	for _, account := range []string{"heteroaccel-webhook", "heteroaccel-extender", "heteroaccel-connector", "heteroaccel-prometheus"} {
		if !accounts[stack.Namespace+":"+account] {
			t.Errorf("the page has no list of %s", account)
		}
	}
	if !accounts[stack.ExporterNamespace+":heteroaccel-exporter"] {
		t.Error("the page has no list of the exporter")
	}
}

// rightsListed: the lists of the page that a test holds have exactly the rights that each
// of our service accounts has by the manifests, according to the API server, beyond those
// of any account. It returns whose lists these are, as NAMESPACE:NAME.
func rightsListed(t *testing.T, s *stack.Stack, test string) (accounts map[string]bool) {
	t.Helper()
	root, err := cluster.Root()
	if err != nil {
		t.Fatal(err)
	}
	blocks, _, err := pages.Read(root, "docs/rights.md")
	if err != nil {
		t.Fatal(err)
	}
	lines := func(command string) (out []string) {
		said, err := s.Kubectl(t.Context(), strings.Fields(strings.TrimPrefix(command, "kubectl "))...)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(said) {
			out = append(out, canonical(line))
		}
		return slices.Compact(out)
	}
	anybody := lines("kubectl auth can-i --list --as=system:serviceaccount:default:default -n default")
	anybody = slices.DeleteFunc(anybody, func(line string) bool { return strings.HasPrefix(line, "Resources") })
	accounts = map[string]bool{}
	for _, b := range blocks {
		if tests, _, _ := b.Tests(); !slices.Contains(tests, test) {
			continue
		}
		commands, err := b.Commands()
		if err != nil || len(commands) != 1 {
			t.Fatalf("%s has %d commands, want one: %v", b, len(commands), err)
		}
		var shown []string
		for _, line := range commands[0].Output {
			if line = canonical(line); line != "…" {
				shown = append(shown, line)
			}
		}
		got := slices.DeleteFunc(lines(commands[0].Text), func(line string) bool { return slices.Contains(anybody, line) })
		slices.Sort(shown)
		slices.Sort(got)
		if diff := cmp.Diff(shown, got); diff != "" {
			t.Errorf("%s: %s (-page +API server):\n%s\nAPI server:\n%s", b, commands[0].Text, diff, strings.Join(got, "\n"))
		}
		_, account, _ := strings.Cut(commands[0].Text, "--as=system:serviceaccount:")
		account, _, _ = strings.Cut(account, " ")
		accounts[account] = true
	}
	return accounts
}
