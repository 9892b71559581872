package cameratest

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// Server is an inference server with one model, of the name Inference, whose one
// input has a picture's shape. It answers the mean of what it is sent.
type Server struct {
	*httptest.Server
	// Address is HOST:PORT.
	Address string

	binary   bool
	datatype string
	shape    []int

	mu       sync.Mutex
	hold     chan struct{} // answers wait until it is closed
	inferred int
	last     float64
}

// NewServer runs one for a test. Only a binary one says that it takes binary
// tensors.
func NewServer(t *testing.T, takesBinary bool, datatype string, shape ...int) *Server {
	t.Helper()
	s := &Server{binary: takesBinary, datatype: datatype, shape: shape}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v2", s.about)
	mux.HandleFunc("GET /v2/health/ready", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("GET /v2/models/"+Inference, s.metadata)
	mux.HandleFunc("POST /v2/models/"+Inference+"/infer", s.infer)
	s.Server = httptest.NewServer(mux)
	s.Address = strings.TrimPrefix(s.URL, "http://")
	t.Cleanup(s.Close)
	return s
}

// Hold has answers wait until release is called.
func (s *Server) Hold() (release func()) {
	hold := make(chan struct{})
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hold = hold
	return sync.OnceFunc(func() {
		s.mu.Lock()
		s.hold = nil
		s.mu.Unlock()
		close(hold)
	})
}

// Inferred is how many requests were right, and the mean of the last.
func (s *Server) Inferred() (n int, last float64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.inferred, s.last
}

func answer(w http.ResponseWriter, doc any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(doc) // it fails only when the client has gone
}

func refuse(w http.ResponseWriter, format string, args ...any) {
	w.WriteHeader(http.StatusBadRequest)
	answer(w, map[string]string{"error": fmt.Sprintf(format, args...)})
}

func (s *Server) about(w http.ResponseWriter, _ *http.Request) {
	extensions := []string{}
	if s.binary {
		extensions = append(extensions, "binary_tensor_data")
	}
	answer(w, map[string]any{"name": "test", "version": "1", "extensions": extensions})
}

func (s *Server) metadata(w http.ResponseWriter, _ *http.Request) {
	answer(w, map[string]any{
		"name": Inference, "platform": "test",
		"inputs":  []any{map[string]any{"name": "picture", "datatype": s.datatype, "shape": s.shape}},
		"outputs": []any{map[string]any{"name": "mean", "datatype": "FP32", "shape": []int{1}}},
	})
}

// infer checks that the tensor is as the protocol has it.
func (s *Server) infer(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the client has gone
	}
	var rest []byte
	length := r.Header.Get("Inference-Header-Content-Length")
	if (length != "") != s.binary {
		refuse(w, "the header's length is %q", length)
		return
	}
	if n, err := strconv.Atoi(length); err == nil && n <= len(body) {
		body, rest = body[:n], body[n:]
	}
	var in struct {
		Inputs []struct {
			Name, Datatype string
			Shape          []int
			Parameters     struct {
				Size int `json:"binary_data_size"`
			}
			Data []float64
		}
	}
	if err := json.Unmarshal(body, &in); err != nil || len(in.Inputs) != 1 {
		refuse(w, "%v in %.100s", err, body)
		return
	}
	t, want := in.Inputs[0], 1
	for i, d := range s.shape {
		if i < len(t.Shape) && d == -1 {
			d = t.Shape[i]
		}
		want *= d
	}
	values := t.Data
	if s.binary {
		values = floats(t.Datatype, rest)
	}
	if t.Name != "picture" || t.Datatype != s.datatype || len(t.Shape) != len(s.shape) || len(values) != want || len(rest) != t.Parameters.Size {
		refuse(w, "%s %s %v has %d values and %d bytes, want %d values", t.Name, t.Datatype, t.Shape, len(values), len(rest), want)
		return
	}
	s.conclude(w, r, values)
}

func (s *Server) conclude(w http.ResponseWriter, r *http.Request, values []float64) {
	s.mu.Lock()
	hold := s.hold
	s.mu.Unlock()
	if hold != nil {
		select {
		case <-hold:
		case <-r.Context().Done():
			return
		}
	}
	sum := 0.0
	for _, v := range values {
		sum += v
	}
	mean := sum / float64(len(values))
	s.mu.Lock()
	s.inferred++
	s.last = mean
	s.mu.Unlock()
	output := map[string]any{"name": "mean", "datatype": "FP32", "shape": []int{1}, "data": []float64{mean}}
	if !s.binary {
		answer(w, map[string]any{"model_name": Inference, "outputs": []any{output}})
		return
	}
	delete(output, "data")
	output["parameters"] = map[string]int{"binary_data_size": 4}
	head, _ := json.Marshal(map[string]any{"model_name": Inference, "outputs": []any{output}}) // plain maps: it cannot fail
	w.Header().Set("Inference-Header-Content-Length", strconv.Itoa(len(head)))
	_, _ = w.Write(binary.LittleEndian.AppendUint32(head, math.Float32bits(float32(mean)))) // it fails only when the client has gone
}

// floats reads binary tensors of the datatypes that pictures have.
func floats(datatype string, data []byte) (values []float64) {
	if datatype == "UINT8" {
		for _, b := range data {
			values = append(values, float64(b))
		}
		return values
	}
	for i := 0; i+4 <= len(data); i += 4 {
		values = append(values, float64(math.Float32frombits(binary.LittleEndian.Uint32(data[i:]))))
	}
	return values
}
