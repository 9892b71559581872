package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"

	"heteroaccel.io/e2e/cluster"
	"heteroaccel.io/e2e/pages"
	"heteroaccel.io/e2e/stack"
)

// curled is a command that reads a page of the extender. It is answered by the
// test, since not every machine has curl.
var curled = regexp.MustCompile(`^curl (?:-s )?"?\$EXTENDER(/[^ "]*)?"?$`)

// pagesWork types the commands that the pages mark to be run on a control
// plane, and looks for what they show of the output.
func pagesWork(t *testing.T, s *stack.Stack) {
	root, err := cluster.Root()
	if err != nil {
		t.Fatal(err)
	}
	bin := t.TempDir()
	if err := os.Symlink(s.KubectlPath(), filepath.Join(bin, "kubectl")); err != nil {
		t.Fatal(err)
	}
	paths, err := pages.Paths(root)
	if err != nil {
		t.Fatal(err)
	}
	ran := 0
	for _, p := range paths {
		blocks, _, err := pages.Read(root, p)
		if err != nil {
			t.Fatal(err)
		}
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
	}
	if ran < 5 {
		t.Errorf("the pages have only %d commands for a control plane", ran)
	}
}

// typed runs one command as the administrator of the cluster.
func typed(t *testing.T, s *stack.Stack, root, bin, command string) (string, error) {
	t.Helper()
	if m := curled.FindStringSubmatch(command); m != nil {
		return stack.Get(t.Context(), s.URL("extender", m[1]))
	}
	cmd := exec.CommandContext(t.Context(), "bash", "-euo", "pipefail", "-c", command)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "KUBECONFIG="+s.Kubeconfig(), "PATH="+bin+":"+os.Getenv("PATH"), "HOME="+bin)
	out, err := cmd.CombinedOutput()
	return string(out), err
}
