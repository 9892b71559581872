//go:build cluster

package installs

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// pageFollows: heteroaccel ui serves the live page by a port that a kubelet forwards, and
// goes on with the extender that follows one that is deleted.
func pageFollows(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	cmd := exec.Command(filepath.Join(shared.Root, "bin", "heteroaccel"), "ui")
	cmd.Env = append(os.Environ(), "KUBECONFIG="+shared.Kubeconfig())
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var said strings.Builder
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Process.Kill() }() // it has ended, unless the test fails
	line, err := bufio.NewReader(out).ReadString('\n')
	fields := strings.Fields(line)
	if err != nil || len(fields) < 4 {
		t.Fatalf("heteroaccel ui prints %q, %v: %s", line, err, said.String())
	}
	base := strings.TrimSuffix(fields[3], "/ui/")
	page := func(path string) error {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, base+path, nil)
		if err != nil {
			return err
		}
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		text, err := bufio.NewReader(resp.Body).ReadString('\n') // a stream has no end
		if err == io.EOF {
			err = nil
		}
		if err == nil && resp.StatusCode != http.StatusOK {
			err = fmt.Errorf("%s: %s", resp.Status, text)
		}
		return err
	}
	for _, path := range []string{"/ui/", "/live", "/live/stream", "/nodes"} {
		if err := page(path); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
	run(t, "kubectl -n heteroaccel-system delete pod -l app.kubernetes.io/name=heteroaccel-extender")
	run(t, "kubectl -n heteroaccel-system rollout status deployment/heteroaccel-extender --timeout=2m")
	eventually(t, "the page of the extender that followed", func(context.Context) error { return page("/live") })
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil || said.Len() > 0 {
		t.Errorf("heteroaccel ui ended with %v: %s", err, said.String())
	}
}
