package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"heteroaccel.io/cli/show"
	"heteroaccel.io/e2e/cluster"
	"heteroaccel.io/e2e/pages"
	"heteroaccel.io/e2e/stack"
)

// TestCommandLine: the command line program shows a pod that waits, why it does, who holds
// what it waits for, and when that ends; and names the right that somebody lacks.
func TestCommandLine(t *testing.T) {
	s := borrow(t, oneNode)
	gpu, npu := occupy(t, s, gpuResource), occupy(t, s, stickResource)
	manifest := waitingOwners["bare pod"]
	defer deleteOwner(t, s, manifest)
	waitsFor(t, s, manifest, "GPU")
	prints(t, s, "queue", "KIND  #  NAMESPACE  NAME   INFERENCE", "GPU   1  default    waits  face-recognition", "Insufficient "+gpuResource)
	prints(t, s, "queue -o wide -n default", "waits", "waits for GPU", "0/1 nodes are available")
	prints(t, s, "queue -n kube-system", "no pod waits for an accelerator")
	prints(t, s, "explain waits", "pod          default/waits", "waits for    1 "+gpuResource, "held by default/"+gpu.Name, "scheduler    0/1 nodes are available")
	prints(t, s, "nodes", gpu.Name, npu.Name)
	prints(t, s, "nodes -o wide", gpu.Name, gpuResource)
	prints(t, s, "nodes -o yaml", "nodes:\n- ", "state: busy")
	prints(t, s, "top", "GPU   1      1     0     0 ")
	oneWaits(t, s)
	if out, code := run(t, s, "explain", "nobody", "--extender-url", s.URL("extender", "")); code != 1 || !strings.Contains(out, `there is no pod "nobody" in namespace "default": kubectl get pods lists all`) {
		t.Errorf("of a pod that there is not: exit code %d, %s", code, out)
	}

	w := watching(t, s, "queue")
	w.await(t, &w.out, "waits")
	s.Process("extender").Stop()
	w.await(t, &w.notes, "trying again")
	if err := s.StartExtender(t.Context()); err != nil {
		t.Fatal(err)
	}
	vacate(t, s, npu)
	runsOn(t, s, "NPU")
	w.await(t, &w.out, "no pod waits for an accelerator")
	if n := strings.Count(w.notes.String(), "\n"); n != 1 {
		t.Errorf("an extender that restarts is reported in %d lines:\n%s", n, w.notes.String())
	}
	w.interrupt(t)
	prints(t, s, "decisions", "waits", "recreated  default", "GPU to NPU")
	t.Run("rights", func(t *testing.T) { needsRights(t, s) })
}

// prints runs a command until it prints what it should: the extender hears of a change a
// moment later.
func prints(t *testing.T, s *stack.Stack, command string, parts ...string) {
	t.Helper()
	eventually(t, func(context.Context) error {
		out, code := run(t, s, append(strings.Fields(command), "--extender-url", s.URL("extender", ""))...)
		for _, part := range parts {
			if code != 0 || !strings.Contains(out, part) {
				return fmt.Errorf("heteroaccel %s: exit code %d, no %q in\n%s", command, code, part, out)
			}
		}
		return nil
	})
}

// oneWaits: one pod waits for a GPU, says the overview as JSON.
func oneWaits(t *testing.T, s *stack.Stack) {
	t.Helper()
	out, _ := run(t, s, "top", "-o", "json", "--extender-url", s.URL("extender", ""))
	var top show.Top
	if err := json.Unmarshal([]byte(out), &top); err != nil || len(top.Kinds) == 0 || top.Kinds[0].Kind != "GPU" || top.Kinds[0].Waiting != 1 || top.Kinds[0].Busy != 1 {
		t.Errorf("%v: %s", err, out)
	}
}

// needsRights: somebody is told which right is missing, and with the Role of the page has it.
func needsRights(t *testing.T, s *stack.Stack) {
	root, err := cluster.Root()
	if err != nil {
		t.Fatal(err)
	}
	blocks, _, err := pages.Read(root, "docs/cli.md")
	if err != nil {
		t.Fatal(err)
	}
	role := ""
	for _, b := range blocks {
		if b.Language == "yaml" && b.Section == "Rights" {
			role = b.Text
		}
	}
	if out, code := run(t, s, "queue", "--as", "somebody"); code != 1 || !strings.Contains(out, "you may not create pods/portforward in namespace "+stack.Namespace+", which it takes to read the extender's pages: have an administrator") {
		t.Errorf("without rights: exit code %d, %s", code, out)
	}
	if said, err := s.KubectlInput(t.Context(), role, "apply", "-f", "-"); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	if said, err := s.Kubectl(t.Context(), "-n", stack.Namespace, "create", "rolebinding", "heteroaccel-pages", "--role=heteroaccel-pages", "--user=somebody"); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	t.Cleanup(func() {
		if said, err := s.Kubectl(context.Background(), "-n", stack.Namespace, "delete", "role,rolebinding", "heteroaccel-pages"); err != nil {
			t.Errorf("%v: %s", err, said)
		}
	})
	// Here the programs run beside the cluster, and there is no pod to forward a port to.
	eventually(t, func(context.Context) error {
		if out, code := run(t, s, "queue", "--as", "somebody"); code != 1 || !strings.Contains(out, "there is no extender pod in namespace "+stack.Namespace) {
			return fmt.Errorf("with the Role: exit code %d, %s", code, out)
		}
		return nil
	})
}

// watched is a command that runs until it is interrupted.
type watched struct {
	cmd        *exec.Cmd
	out, notes printed
}

// printed is a text that is written and read at the same time.
type printed struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (p *printed) Write(text []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.b.Write(text)
}

func (p *printed) String() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.b.String()
}

// watching starts a command with --watch.
func watching(t *testing.T, s *stack.Stack, command string) *watched {
	t.Helper()
	path, err := heteroaccel()
	if err != nil {
		t.Fatal(err)
	}
	w := &watched{cmd: exec.CommandContext(t.Context(), path, command, "--watch", "--kubeconfig", s.Kubeconfig(), "--extender-url", s.URL("extender", ""))}
	w.cmd.Stdout, w.cmd.Stderr = &w.out, &w.notes
	w.cmd.Env = append(os.Environ(), soonEnds)
	if err := w.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *watched) await(t *testing.T, text *printed, part string) {
	t.Helper()
	eventually(t, func(context.Context) error {
		if !strings.Contains(text.String(), part) {
			return fmt.Errorf("%v does not print %q, but\n%s%s", w.cmd.Args, part, w.out.String(), w.notes.String())
		}
		return nil
	})
}

// interrupt does what Ctrl-C does, which is no error.
func (w *watched) interrupt(t *testing.T) {
	t.Helper()
	if err := w.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := w.cmd.Wait(); err != nil || strings.Contains(w.notes.String(), "DATA RACE") {
		t.Errorf("interrupted: %v: %s", err, w.notes.String())
	}
}
