//go:build cluster

package inference_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"heteroaccel.io/e2e/poll"
)

// server is a running inference server.
type server struct {
	url string
	cmd *exec.Cmd

	mu  sync.Mutex
	log strings.Builder
	// ended is closed after the process, err has what became of it.
	ended chan struct{}
	err   error
}

// start starts a server for faces and waits until it listens.
func start(t *testing.T, args ...string) *server {
	t.Helper()
	s := run(t, append([]string{program("main.py"), "-m", "face", "-d", "GPU", "--port", "0"}, args...)...)
	s.await(t, "it listens", func(context.Context) error {
		_, rest, ok := strings.Cut(s.said(), "Serving face-recognition on port ")
		if port, _, whole := strings.Cut(rest, "\n"); ok && whole {
			s.url = "http://127.0.0.1:" + port
			return nil
		}
		return fmt.Errorf("it said %s", s.said())
	})
	return s
}

// run runs the image's Python, and ends it with the test.
func run(t *testing.T, args ...string) *server {
	t.Helper()
	s := &server{ended: make(chan struct{})}
	r, w := io.Pipe()
	s.cmd = python(context.Background(), args...)
	s.cmd.Stdout, s.cmd.Stderr = w, w
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		lines := bufio.NewReader(r)
		for {
			line, err := lines.ReadString('\n')
			s.mu.Lock()
			s.log.WriteString(line)
			s.mu.Unlock()
			if err != nil {
				close(s.ended)
				return
			}
		}
	}()
	go func() {
		s.err = s.cmd.Wait()
		w.Close()
	}()
	t.Cleanup(func() {
		if err := s.cmd.Process.Kill(); err == nil {
			<-s.ended
		}
	})
	return s
}

func (s *server) said() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.log.String()
}

// await waits until try succeeds, for a minute.
func (s *server) await(t *testing.T, what string, try func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := poll.Until(ctx, try); err != nil {
		t.Fatalf("%s: %v\n%s", what, err, s.said())
	}
}

// ready waits until the server says that it is.
func (s *server) ready(t *testing.T) {
	t.Helper()
	s.await(t, "it is ready", func(ctx context.Context) error {
		status, _, body := s.get(ctx, "/v2/health/ready")
		if status != http.StatusOK {
			return fmt.Errorf("it answers %d: %s", status, body)
		}
		return nil
	})
}

// exits waits until the process has ended, and returns its exit code.
func (s *server) exits(t *testing.T) int {
	t.Helper()
	select {
	case <-s.ended:
	case <-time.After(time.Minute):
		t.Fatalf("it runs after a minute:\n%s", s.said())
	}
	return s.cmd.ProcessState.ExitCode()
}

// get is status 0 when there is no answer.
func (s *server) get(ctx context.Context, path string) (int, http.Header, string) {
	return s.do(ctx, http.MethodGet, path, nil, nil)
}

func (s *server) do(ctx context.Context, method, path string, header map[string]string, body []byte) (int, http.Header, string) {
	req, err := http.NewRequestWithContext(ctx, method, s.url+path, bytes.NewReader(body))
	if err != nil {
		return 0, nil, err.Error()
	}
	req.Close = true
	for name, value := range header {
		req.Header.Set(name, value)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, nil, err.Error()
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, nil, err.Error()
	}
	return resp.StatusCode, resp.Header, string(got)
}

const inferPath = "/v2/models/face-recognition/infer"

// TestReadiness: a server is live at once, and ready when its network is
// compiled, on the CPU where OpenVINO has no such device, as its log says.
func TestReadiness(t *testing.T) {
	s := start(t)
	for path, want := range map[string]int{
		"/v2": 200, "/v2/health/live": 200, "/v2/health/ready": 503,
		"/v2/models/face-recognition": 503, "/v2/models/face-recognition/ready": 503,
	} {
		if status, _, body := s.get(t.Context(), path); status != want {
			t.Errorf("before it is ready %s answers %d: %s, want %d", path, status, body, want)
		}
	}
	if status, header, body := s.do(t.Context(), http.MethodPost, inferPath, nil, []byte("{}")); status != 503 || header.Get("Retry-After") == "" || !strings.Contains(body, "is being loaded") {
		t.Errorf("before it is ready it answers an inference with %d: %s", status, body)
	}
	if strings.Contains(s.said(), "Ready after") {
		t.Fatal("it was ready before it was asked: the test saw nothing of what it tests")
	}
	s.ready(t)
	for _, want := range []string{"Instead of GPU this runs on CPU: GPU is not available", "Ready after"} {
		if !strings.Contains(s.said(), want) {
			t.Errorf("its log has no %q:\n%s", want, s.said())
		}
	}
	for _, path := range []string{"/v2/models/face-recognition", "/v2/models/face-recognition/versions/1"} {
		status, _, body := s.get(t.Context(), path)
		const want = `{"name":"face-recognition","versions":["1"],"platform":"openvino","inputs":[{"name":"input_1","datatype":"FP32","shape":[1,192,192,3]}],` +
			`"outputs":[{"name":"Identity","datatype":"FP32","shape":[1,2304,16]},{"name":"Identity_1","datatype":"FP32","shape":[1,2304,1]}]}`
		if status != http.StatusOK || body != want {
			t.Errorf("%s answers %d: %s, want %s", path, status, body, want)
		}
	}
	for _, path := range []string{"/v2/health/live", "/v2/models/face-recognition/ready", "/v2/models/face-recognition/versions/1/ready"} {
		if status, _, body := s.get(t.Context(), path); status != http.StatusOK {
			t.Errorf("%s answers %d: %s", path, status, body)
		}
	}
}

// TestStartsThatFail: what cannot serve ends, with 1 and one sentence.
func TestStartsThatFail(t *testing.T) {
	s := start(t)
	port := s.url[strings.LastIndex(s.url, ":")+1:]
	// One network for another's input: OpenVINO refuses to compile it.
	const broken = `import sys; sys.path.insert(0, %q)
import runpy, json, pathlib
read = pathlib.Path.read_text
pathlib.Path.read_text = lambda p, *a, **k: read(p, *a, **k).replace("[1, 192, 192, 3]", "[1, 5, 5, 7]") if p.name == "models.json" else read(p, *a, **k)
sys.argv = ["inference", "-m", "face", "--port", "0"]
runpy.run_path(%q, run_name="__main__")`
	for name, test := range map[string]struct {
		args []string
		want string
	}{
		"the port is taken":         {[]string{program("main.py"), "-m", "face", "--port", port}, "Address already in use"},
		"the network does not load": {[]string{"-c", fmt.Sprintf(broken, program(""), program("main.py"))}, "Inferring failed"},
	} {
		t.Run(name, func(t *testing.T) {
			p := run(t, test.args...)
			if code := p.exits(t); code != 1 {
				t.Errorf("exit code %d, want 1", code)
			}
			last := p.said()[strings.LastIndex(p.said(), "[ ERROR ]"):]
			if !strings.Contains(last, test.want) || strings.Count(last, "\n") != 1 {
				t.Errorf("it says %q, want one line with %q", last, test.want)
			}
		})
	}
}

// answer is what a server answers to an inference.
type answer struct {
	Error        string
	ID           string
	ModelName    string `json:"model_name"`
	ModelVersion string `json:"model_version"`
	Outputs      []struct {
		Name, Datatype string
		Shape          []int
		Data           []float32
		Parameters     struct {
			BinaryDataSize *int `json:"binary_data_size"`
		}
	}
}

func decode(t *testing.T, body string) (a answer) {
	t.Helper()
	if err := json.Unmarshal([]byte(body), &a); err != nil {
		t.Fatalf("%v in %.300q", err, body)
	}
	return a
}
