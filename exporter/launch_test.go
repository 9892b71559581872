package main

import (
	"bufio"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"heteroaccel.io/pkg/telemetry"
	"heteroaccel.io/pkg/telemetry/exposition"
)

// build compiles the program, as the Makefile does but for its symbols.
var build = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "exporter")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "exporter")
	out, err := exec.Command("go", "build", "-tags", "grpcnotrace", "-o", path, ".").CombinedOutput()
	if err != nil {
		return dir, &buildError{err, out}
	}
	return path, nil
})

type buildError struct {
	err error
	out []byte
}

func (e *buildError) Error() string { return e.err.Error() + "\n" + string(e.out) }

func TestMain(m *testing.M) {
	code := m.Run()
	if path, err := build(); err == nil {
		_ = os.RemoveAll(filepath.Dir(path))
	}
	os.Exit(code)
}

// launch runs the program and returns its address, from its log, and its
// process id.
func launch(t testing.TB, args ...string) (address string, pid int) {
	t.Helper()
	path, err := build()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, append([]string{"--web.listen-address", "127.0.0.1:0"}, args...)...)
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	listening := make(chan string, 1)
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		for lines := bufio.NewScanner(stderr); lines.Scan(); {
			var line struct{ Address string }
			if json.Unmarshal(lines.Bytes(), &line) == nil && line.Address != "" {
				listening <- line.Address
			}
		}
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		<-drained
		if err := cmd.Wait(); err != nil {
			t.Errorf("the exporter ended with %v", err)
		}
	})
	select {
	case a := <-listening:
		return a, cmd.Process.Pid
	case <-drained:
		t.Fatal("the exporter ended before it listened")
	case <-time.After(30 * time.Second):
		t.Fatal("the exporter does not listen")
	}
	return "", 0
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

// scrape reads the metrics as the monitor does.
func scrape(t *testing.T, address string) (telemetry.Scrape, string) {
	t.Helper()
	status, body := get(t, address+"/metrics")
	if status != http.StatusOK {
		t.Fatalf("status %d: %s", status, body)
	}
	series, err := exposition.Parse(strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	s, err := telemetry.Decode(series, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	return s, body
}

func succeeded(s telemetry.Scrape, collector string) bool {
	for _, c := range s.Collectors {
		if c.Name == collector {
			return c.OK
		}
	}
	return false
}
