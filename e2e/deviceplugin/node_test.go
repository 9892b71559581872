package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"heteroaccel.io/e2e/machine"
)

// node is a machine, and the directories that the program is told of.
type node struct {
	*machine.Machine
	dev, dir string
	log      *lines
}

func newNode(t *testing.T, devices ...machine.Device) *node {
	t.Helper()
	dir, err := os.MkdirTemp("", "plugins") // short: it is part of a socket's path
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	n := &node{
		Machine: &machine.Machine{Name: "x", Cores: 1, MemoryGiB: 1, Devices: devices},
		dev:     t.TempDir(), dir: dir, log: &lines{},
	}
	if err := n.Write(t.TempDir()); err != nil {
		t.Fatal(err)
	}
	for _, d := range devices {
		rest, err := filepath.Rel("/dev", d.Node)
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(n.dev, rest)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return n
}

// start runs the program until stop is called, which wants it to end well.
func (n *node) start(t *testing.T, flags ...string) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	args := append([]string{"--sys=" + n.Sys(), "--dev=" + n.dev, "--dir=" + n.dir + "/", "--interval=10ms", "--forget=150ms"}, flags...)
	code := make(chan int, 1)
	go func() { code <- run(ctx, args, n.log, n.log) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if c := <-code; c != 0 {
			t.Errorf("the program ended with %d:\n%s", c, n.log)
		}
	})
	t.Cleanup(stop)
	return stop
}

// lines is a log that may be read while it is written.
type lines struct {
	mu sync.Mutex
	bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.Buffer.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.Buffer.String()
}

// with returns the log's entries that have a message, without their time.
func (l *lines) with(t *testing.T, message string) []map[string]any {
	t.Helper()
	var out []map[string]any
	for d := json.NewDecoder(bytes.NewReader([]byte(l.String()))); d.More(); {
		entry := map[string]any{}
		if err := d.Decode(&entry); err != nil {
			t.Fatal(err)
		}
		if entry["message"] == message {
			delete(entry, "time")
			out = append(out, entry)
		}
	}
	return out
}

func do(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
