package cluster

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// TestPortTaken: a program whose port was taken meanwhile gets another.
func TestPortTaken(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	c, err := newCluster(Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Stop()
	const script = `if test -e tried; then CLUSTER_TEST_SERVER=$1 exec "$0"; fi; touch tried; echo "listen tcp: address already in use"; exit 1`
	var tried []int
	ports, err := c.serve(t.Context(), service{
		name: "server", path: "/bin/sh", ports: 1, health: "/", plain: true,
		args: func(ports []int) []string {
			tried = append(tried, ports...)
			return []string{"-c", script, os.Args[0], fmt.Sprint(ports[0])}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(tried) != 2 || tried[0] == tried[1] || !slices.Equal(ports, tried[1:]) {
		t.Errorf("ports %v were tried and %v used, want two different and the second", tried, ports)
	}
}

func TestFreePortsDiffer(t *testing.T) {
	seen := map[int]bool{}
	for range 100 {
		port, err := FreePort()
		if err != nil {
			t.Fatal(err)
		}
		if seen[port] {
			t.Fatalf("port %d was handed out twice", port)
		}
		seen[port] = true
	}
}

// TestSweep: of the directories of killed programs, of running ones, of fresh
// ones and of those kept on purpose, only the first go.
func TestSweep(t *testing.T) {
	parent := t.TempDir()
	old := time.Now().Add(-time.Hour)
	dir := func(name string, age time.Time, locked, lockFile bool) string {
		path, lock, err := workDir(parent)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if locked {
			t.Cleanup(func() { lock.Close() })
		} else {
			lock.Close()
		}
		at := filepath.Join(path, "lock")
		if lockFile {
			err = os.Chtimes(at, age, age)
		} else {
			err = os.Remove(at)
		}
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		return path
	}
	abandoned := dir("abandoned", old, false, true)
	stays := map[string]string{
		"running": dir("running", old, true, true),
		"fresh":   dir("fresh", time.Now(), false, true),
		"kept":    dir("kept", old, false, false),
	}
	if err := os.Mkdir(filepath.Join(stays["kept"], "logs"), 0o700); err != nil {
		t.Fatal(err)
	}
	begun := dir("begun", old, false, false)
	for _, path := range []string{begun, stays["kept"]} {
		if err := os.Chtimes(path, old, old); err != nil {
			t.Fatal(err)
		}
	}
	sweep(parent)
	if _, err := os.Stat(begun); !os.IsNotExist(err) {
		t.Errorf("the directory of a program that was killed as it made it stayed: %v", err)
	}
	if _, err := os.Stat(abandoned); !os.IsNotExist(err) {
		t.Errorf("the directory of a killed program stayed: %v", err)
	}
	for name, path := range stays {
		if _, err := os.Stat(path); err != nil {
			t.Errorf("the directory that is %s went: %v", name, err)
		}
	}
}
