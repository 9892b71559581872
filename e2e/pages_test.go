package e2e

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"heteroaccel.io/e2e/cluster"
	"heteroaccel.io/e2e/curl"
	"heteroaccel.io/e2e/pages"
	"heteroaccel.io/e2e/stack"
)

// curled is a command that asks the extender or the connector and nothing else. It
// is sent by the test, since not every machine has curl.
var curled = regexp.MustCompile(`^curl [^|;&]*\$(EXTENDER|CONNECTOR)[^|;&]*$`)

// pagesWork types the commands that the pages mark to be run on a control
// plane, and looks for what they show of the output.
func pagesWork(t *testing.T, s *stack.Stack) {
	root, err := cluster.Root()
	if err != nil {
		t.Fatal(err)
	}
	bin := t.TempDir()
	withConnector(t, s)
	if err := os.Symlink(s.KubectlPath(), filepath.Join(bin, "kubectl")); err != nil {
		t.Fatal(err)
	}
	paths, err := pages.Paths(root)
	if err != nil {
		t.Fatal(err)
	}
	var blocks []pages.Block
	for _, p := range paths {
		more, _, err := pages.Read(root, p)
		if err != nil {
			t.Fatal(err)
		}
		blocks = append(blocks, more...)
	}
	// A session holds a device until the test ends: the others are typed before.
	asks := func(b pages.Block) int { return strings.Count(b.Text, "$CONNECTOR") }
	slices.SortStableFunc(blocks, func(a, b pages.Block) int { return cmp.Compare(asks(a), asks(b)) })
	ran := 0
	for _, b := range blocks {
		if b.Mark != pages.OnPlane {
			continue
		}
		commands, err := b.Commands()
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range commands {
			ran++
			out, err := typed(t, s, root, bin, c.Text)
			if err != nil {
				t.Errorf("%s: %s: %v\n%s", b, c.Text, err, out)
			} else if missing, ok := c.Shown(out); !ok {
				t.Errorf("%s: %s does not print %q, which the page shows, but:\n%s", b, c.Text, missing, out)
			}
		}
	}
	if ran < 5 {
		t.Errorf("the pages have only %d commands for a control plane", ran)
	}
}

// withConnector runs the connector for the rest of the test, and then ends the
// sessions that the pages asked for.
func withConnector(t *testing.T, s *stack.Stack) {
	t.Helper()
	if err := s.InstallConnector(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.StartConnector(t.Context(), "connector", "--idle-timeout=1s"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		defer s.Process("connector").Kill()
		ctx := context.Background() // the test's has ended
		var list struct{ Sessions []sessionAnswer }
		said, err := stack.Get(ctx, s.URL("connector", "/v1/sessions"))
		if err == nil {
			err = json.Unmarshal([]byte(said), &list)
		}
		if err != nil || len(list.Sessions) == 0 {
			t.Errorf("the pages ask for no session: %v: %s", err, said)
		}
		for _, a := range list.Sessions {
			if _, _, err := (camera{s, "connector"}).ask(ctx, http.MethodDelete, "/v1/sessions/"+a.ID, ""); err != nil {
				t.Error(err)
			}
		}
	})
}

// typed runs one command as the administrator of the cluster.
func typed(t *testing.T, s *stack.Stack, root, bin, command string) (string, error) {
	t.Helper()
	if curled.MatchString(command) {
		return curl.Run(t.Context(), command, func(name string) string {
			return map[string]string{"EXTENDER": s.URL("extender", ""), "CONNECTOR": s.URL("connector", "")}[name]
		})
	}
	cmd := exec.CommandContext(t.Context(), "bash", "-euo", "pipefail", "-c", command)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "KUBECONFIG="+s.Kubeconfig(), "PATH="+bin+":"+os.Getenv("PATH"), "HOME="+bin)
	out, err := cmd.CombinedOutput()
	return string(out), err
}
