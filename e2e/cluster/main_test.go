package cluster_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"heteroaccel.io/e2e/cluster"
	"heteroaccel.io/e2e/machine"
)

// victim, in the environment, makes this test program a parent that starts a
// cluster, says where, and waits to be killed.
const victim = "CLUSTER_TEST_VICTIM"

// server, in the environment, makes this test program a server on the port
// that is its value.
const server = "CLUSTER_TEST_SERVER"

func TestMain(m *testing.M) {
	if port := os.Getenv(server); port != "" {
		fmt.Fprintln(os.Stderr, http.ListenAndServe("127.0.0.1:"+port, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})))
		os.Exit(1)
	}
	if os.Getenv(victim) == "" {
		os.Exit(m.Run())
	}
	c, err := cluster.Start(context.Background(), cluster.Config{Machines: []*machine.Machine{machine.G()}})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(c.Dir())
	select {}
}

// left returns the command lines of the processes that name dir: all those of
// a cluster, and of no other.
func left(t *testing.T, dir string) []string {
	t.Helper()
	paths, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, path := range paths {
		// A process that ended meanwhile has no file; a dead one that waits
		// for its parent has an empty one.
		line, err := os.ReadFile(path)
		if err == nil && strings.Contains(string(line), dir) {
			found = append(found, filepath.Base(filepath.Dir(path))+" "+strings.ReplaceAll(string(line), "\x00", " "))
		}
	}
	return found
}

// eventually polls until check returns "", or fails with what it says.
func eventually(t *testing.T, limit time.Duration, check func() string) {
	t.Helper()
	deadline := time.After(limit)
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for {
		problem := check()
		if problem == "" {
			return
		}
		select {
		case <-deadline:
			t.Fatalf("after %s: %s", limit, problem)
		case <-ticker.C:
		}
	}
}

func TestParentKilled(t *testing.T) {
	parent := exec.Command(os.Args[0])
	parent.Env = append(os.Environ(), victim+"=1")
	parent.Stderr = os.Stderr
	stdout, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	var dir string
	_, scanErr := fmt.Fscanln(stdout, &dir)
	before := left(t, dir)
	if err := parent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = parent.Wait() // an error: it was killed
	if scanErr != nil {
		t.Fatalf("the parent did not say where its cluster is: %v", scanErr)
	}
	defer os.RemoveAll(dir)
	if len(before) != 5 {
		t.Errorf("before, %d processes ran, want 5:\n%s", len(before), strings.Join(before, "\n"))
	}
	eventually(t, 10*time.Second, func() string { return strings.Join(left(t, dir), "\n") })
}

// dirs are the work directories there are.
func dirs(t *testing.T) map[string]bool {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(os.TempDir(), "heteroaccel-*"))
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for _, path := range paths {
		found[path] = true
	}
	return found
}

// TestStartFails: an error that names the program and quotes it, and nothing
// stays behind.
func TestStartFails(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	script := filepath.Join(t.TempDir(), "etcd")
	if err := os.WriteFile(script, []byte("#!/bin/sh\necho the disk is made of cheese >&2\nexit 3\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	_, err := cluster.Start(t.Context(), cluster.Config{Binaries: cluster.Binaries{Etcd: script}})
	if err == nil {
		t.Fatal("a cluster started without etcd")
	}
	for _, want := range []string{"etcd ended by itself (exit status 3)", "the disk is made of cheese"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error is %q, want %q in it", err, want)
		}
	}
	if d := dirs(t); len(d) != 0 {
		t.Errorf("directories stayed: %v", d)
	}
}

// interrupter cancels when it is told that etcd is ready.
type interrupter struct{ cancel context.CancelFunc }

// Write implements io.Writer.
func (i interrupter) Write(p []byte) (int, error) {
	if strings.HasPrefix(string(p), "etcd ") {
		i.cancel()
	}
	return len(p), nil
}

// TestStartInterrupted is Ctrl-C while the cluster starts.
func TestStartInterrupted(t *testing.T) {
	temporary := t.TempDir()
	t.Setenv("TMPDIR", temporary)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	_, err := cluster.Start(ctx, cluster.Config{Out: interrupter{cancel}})
	if err == nil || !strings.Contains(err.Error(), "interrupted") {
		t.Errorf("the error is %v, want that it was interrupted", err)
	}
	if d := dirs(t); len(d) != 0 {
		t.Errorf("directories stayed: %v", d)
	}
	if l := left(t, temporary); len(l) != 0 {
		t.Errorf("processes stayed:\n%s", strings.Join(l, "\n"))
	}
}
