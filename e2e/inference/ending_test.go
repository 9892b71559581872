//go:build cluster

package inference_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"syscall"
	"testing"
)

// TestEnding: on SIGTERM a server says that it is not ready, goes on serving
// for a moment, takes no more connections then, and finishes what is under way.
func TestEnding(t *testing.T) {
	s := start(t)
	s.ready(t)
	r, w := io.Pipe()
	result := make(chan string, 1)
	go func() {
		resp, err := http.Post(s.url+inferPath, "application/json", r)
		if err != nil {
			result <- err.Error()
			return
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if a := (answer{}); err == nil && json.Unmarshal(body, &a) == nil && len(a.Outputs) == 2 {
			result <- resp.Status
			return
		}
		result <- fmt.Sprintf("%s: %.300s, %v", resp.Status, body, err)
	}()
	request := requestOf(t, values(t))
	half := len(request) / 2
	if _, err := w.Write(request[:half]); err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	s.await(t, "it is not ready", func(ctx context.Context) error {
		if status, _, body := s.get(ctx, "/v2/health/ready"); status != http.StatusServiceUnavailable {
			return fmt.Errorf("it answers %d: %s", status, body)
		}
		return nil
	})
	if status, _, body := s.do(t.Context(), http.MethodPost, inferPath, nil, request); status != http.StatusOK {
		t.Errorf("a client that does not know yet is answered %d: %.300s", status, body)
	}
	s.await(t, "it takes no more connections", func(ctx context.Context) error {
		if status, _, body := s.get(ctx, "/v2/health/live"); status != 0 {
			return fmt.Errorf("it answers %d: %s", status, body)
		}
		return nil
	})
	if _, err := w.Write(request[half:]); err != nil {
		t.Fatal(err)
	}
	w.Close()
	if got := <-result; got != "200 OK" {
		t.Errorf("the inference under way is answered %s", got)
	}
	if code := s.exits(t); code != 0 {
		t.Errorf("exit code %d, want 0:\n%s", code, s.said())
	}
}
