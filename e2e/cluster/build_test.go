package cluster

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// copySource copies what readSource reads to a fresh root, as far as it matters for the
// newest minor and 1.36.
func copySource(t *testing.T) string {
	t.Helper()
	from, err := Root()
	if err != nil {
		t.Fatal(err)
	}
	to := t.TempDir()
	for _, path := range []string{"controlplane/go.mod", "controlplane/go.sum", "controlplane/1.36/go.mod", "controlplane/1.36/go.sum", "kwok/go.mod", "kwok/go.sum"} {
		data, err := os.ReadFile(filepath.Join(from, "e2e", path))
		if err != nil {
			t.Fatal(err)
		}
		at := filepath.Join(to, "e2e", path)
		if err := errors.Join(os.MkdirAll(filepath.Dir(at), 0o755), os.WriteFile(at, data, 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	return to
}

func TestKeyFollowsWhatIsBuilt(t *testing.T) {
	root := copySource(t)
	key := func(minor string) string {
		t.Helper()
		s, err := readSource(root, minor)
		if err != nil {
			t.Fatal(err)
		}
		return s.key("go1.26.8")
	}
	first, older := key(""), key("1.36")
	if first != key("") {
		t.Error("the key of the same sources differs")
	}
	if s, _ := readSource(root, ""); s.key("go1.26.9") == first || !strings.Contains(first, s.version) {
		t.Errorf("the key %s does not follow the versions of Go and Kubernetes", first)
	}
	if !strings.Contains(older, "-v1.36.") {
		t.Errorf("the key of 1.36 is %s", older)
	}
	path := filepath.Join(root, "e2e/kwok/go.sum")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, append(data, '\n'), 0o644); err != nil {
		t.Fatal(err)
	}
	if key("") == first || key("1.36") == older {
		t.Error("a key does not follow kwok's go.sum")
	}
}

func TestToolchainErrors(t *testing.T) {
	for name, test := range map[string]struct {
		last []string
		want string
	}{
		"no network": {[]string{"go: k8s.io/api@v0.37.2: dial tcp: lookup modules: no such host"}, "could not be downloaded"},
		"disk":       {[]string{"write /tmp/x: no space left on device"}, "disk is full"},
		"other":      {[]string{"x.go:1:1: syntax error"}, "syntax error"},
	} {
		t.Run(name, func(t *testing.T) {
			if err := explain("build", errors.New("exit status 1"), test.last); !strings.Contains(err.Error(), test.want) {
				t.Errorf("the error is %q, want %q in it", err, test.want)
			}
		})
	}
	t.Run("no go", func(t *testing.T) {
		t.Setenv("PATH", t.TempDir())
		_, err := Build(t.Context(), BuildOptions{})
		if err == nil || !strings.Contains(err.Error(), "install Go") {
			t.Errorf("without go the error is %v, want that it says to install Go", err)
		}
	})
	t.Run("interrupted", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := (toolchain{}).output(ctx, "env"); !errors.Is(err, context.Canceled) {
			t.Errorf("interrupted, the error is %v, want context.Canceled", err)
		}
	})
}

func TestSecondBuildWaits(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	unlock, err := LockFile(t.Context(), path, func() { t.Error("the first waits") })
	if err != nil {
		t.Fatal(err)
	}
	waits, got := make(chan struct{}), make(chan error, 1)
	go func() {
		unlock2, err := LockFile(t.Context(), path, func() { close(waits) })
		if err == nil {
			unlock2()
		}
		got <- err
	}()
	<-waits
	select {
	case err := <-got:
		t.Fatalf("the second did not wait: %v", err)
	default:
	}
	unlock()
	if err := <-got; err != nil {
		t.Errorf("the second, when the first is done: %v", err)
	}
}

// TestProgressInLog: without a terminal there are whole lines and nothing
// else.
func TestProgressInLog(t *testing.T) {
	var out bytes.Buffer
	p := NewProgress(&out)
	stop := p.Show("[1/6] etcd")
	p.draw()
	p.Set("[1/6] etcd: linking")
	p.draw()
	p.Line("[1/6] etcd: 3s")
	stop()
	want := "[1/6] etcd, 0s\n[1/6] etcd: linking, 0s\n[1/6] etcd: 3s\n"
	if got := out.String(); got != want {
		t.Errorf("the log is %q, want %q", got, want)
	}
}

// TestProgressOnTerminal: one line, rewritten, gone in the end, never 80 wide.
func TestProgressOnTerminal(t *testing.T) {
	var out bytes.Buffer
	p := NewProgress(&out)
	p.terminal = true
	stop := p.Show(strings.Repeat("x", 200))
	p.draw()
	stop()
	parts := strings.Split(out.String(), "\r")
	if strings.Contains(out.String(), "\n") || strings.TrimSpace(parts[len(parts)-2]) != "" || parts[len(parts)-1] != "" {
		t.Errorf("the terminal got %q, want one line, erased in the end", out.String())
	}
	for _, part := range parts {
		if len(part) >= width {
			t.Errorf("a line of %d columns: %q", len(part), part)
		}
	}
	if got := fit("short", 75*time.Second); got != "short, 1m15s" {
		t.Errorf("fit says %q", got)
	}
}
