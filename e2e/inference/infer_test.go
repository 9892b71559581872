//go:build cluster

package inference_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// The input of the network for faces, and its outputs, in numbers.
var inputShape, outputSizes = []int{1, 192, 192, 3}, map[string]int{"Identity": 2304 * 16, "Identity_1": 2304}

// values is an image, the same each time.
func values(t *testing.T) []float32 {
	t.Helper()
	out := make([]float32, 192*192*3)
	for i := range out {
		out[i] = float32(i*7919%1000) / 1000
	}
	return out
}

func raw(t *testing.T, values []float32) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := binary.Write(&b, binary.LittleEndian, values); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

type object = map[string]any

// input is the description of the input, with what more is given.
func input(more object) object {
	o := object{"name": "input_1", "datatype": "FP32", "shape": inputShape}
	for key, value := range more {
		o[key] = value
	}
	return o
}

func encode(t *testing.T, v any) []byte {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// requestOf is a request in JSON.
func requestOf(t *testing.T, values []float32) []byte {
	return encode(t, object{"inputs": []object{input(object{"data": values})}})
}

// direct is what OpenVINO makes of an image without a server.
func direct(t *testing.T, image []byte) map[string][]byte {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "input"), image, 0o600); err != nil {
		t.Fatal(err)
	}
	const script = `import sys, numpy, openvino
model = openvino.Core().read_model(sys.argv[1])
model.reshape([1, 192, 192, 3])
compiled = openvino.Core().compile_model(model, "CPU", {"INFERENCE_NUM_THREADS": 1})
result = compiled([numpy.fromfile(sys.argv[2] + "/input", "<f4").reshape(1, 192, 192, 3)])
for port in compiled.outputs:
    result[port].tofile(sys.argv[2] + "/" + port.any_name)`
	cmd := python(t.Context(), "-c", script, program("models/face_detection_full_range_sparse.tflite"), dir)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	results := map[string][]byte{}
	for name := range outputSizes {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		results[name] = data
	}
	return results
}

// TestInfer: JSON and binary tensors in both directions give what OpenVINO does.
func TestInfer(t *testing.T) {
	s := start(t, "-nthreads", "1")
	s.ready(t)
	image := values(t)
	want := direct(t, raw(t, image))
	nested := make([][][][3]float32, 1)
	for y := range 192 {
		nested[0] = append(nested[0], nil)
		for x := range 192 {
			at := (y*192 + x) * 3
			nested[0][y] = append(nested[0][y], [3]float32(image[at:at+3]))
		}
	}
	flat, data := input(object{"data": image}), raw(t, image)
	sized := input(object{"parameters": object{"binary_data_size": len(data)}})
	asked := func(names ...any) (outputs []object) { // a name, and whether in binary
		for i := 0; i < len(names); i += 2 {
			outputs = append(outputs, object{"name": names[i], "parameters": object{"binary_data": names[i+1]}})
		}
		return outputs
	}
	for name, test := range map[string]struct {
		request object
		binary  []byte
		want    []string // the outputs; those in binary with a star
	}{
		"flat numbers":               {object{"inputs": []object{flat}}, nil, []string{"Identity", "Identity_1"}},
		"nested numbers":             {object{"inputs": []object{input(object{"data": nested})}}, nil, []string{"Identity", "Identity_1"}},
		"no output is named":         {object{"inputs": []object{flat}, "outputs": []object{}}, nil, []string{"Identity", "Identity_1"}},
		"one output":                 {object{"inputs": []object{flat}, "outputs": asked("Identity_1", false)}, nil, []string{"Identity_1"}},
		"binary both ways":           {object{"inputs": []object{sized}, "outputs": asked("Identity", true, "Identity_1", true)}, data, []string{"Identity*", "Identity_1*"}},
		"binary in":                  {object{"inputs": []object{sized}}, data, []string{"Identity", "Identity_1"}},
		"binary out":                 {object{"inputs": []object{flat}, "parameters": object{"binary_data_output": true}}, nil, []string{"Identity*", "Identity_1*"}},
		"some binary, in this order": {object{"inputs": []object{sized}, "outputs": asked("Identity_1", true, "Identity", false)}, data, []string{"Identity_1*", "Identity"}},
		"all binary but one":         {object{"inputs": []object{flat}, "parameters": object{"binary_data_output": true}, "outputs": append(asked("Identity", false), object{"name": "Identity_1"})}, nil, []string{"Identity", "Identity_1*"}},
	} {
		t.Run(name, func(t *testing.T) {
			test.request["id"] = name
			text := encode(t, test.request)
			header := map[string]string{}
			if test.binary != nil {
				header["Inference-Header-Content-Length"] = strconv.Itoa(len(text))
				header["Content-Type"] = "application/octet-stream"
			}
			status, got, body := s.do(t.Context(), http.MethodPost, inferPath, header, append(text, test.binary...))
			if status != http.StatusOK {
				t.Fatalf("%d: %.300s", status, body)
			}
			rest := ""
			if n := got.Get("Inference-Header-Content-Length"); n != "" {
				length, err := strconv.Atoi(n)
				if err != nil {
					t.Fatal(err)
				}
				body, rest = body[:length], body[length:]
			}
			a := decode(t, body)
			if a.ID != name || a.ModelName != "face-recognition" || a.ModelVersion != "1" {
				t.Errorf("it is the answer of %s %s to %q", a.ModelName, a.ModelVersion, a.ID)
			}
			var names []string
			for _, o := range a.Outputs {
				values, star := []byte(nil), ""
				if n := o.Parameters.BinaryDataSize; n != nil {
					values, rest, star = []byte(rest[:*n]), rest[*n:], "*"
				} else {
					values = raw(t, o.Data)
				}
				names = append(names, o.Name+star)
				if o.Datatype != "FP32" || len(values) != 4*outputSizes[o.Name] {
					t.Errorf("%s has %d bytes of %s", o.Name, len(values), o.Datatype)
				}
				if worst := difference(values, want[o.Name]); worst > 1e-4 {
					t.Errorf("%s differs by %g from what OpenVINO gives", o.Name, worst)
				}
			}
			if diff := cmp.Diff(test.want, names); diff != "" || rest != "" {
				t.Errorf("%d bytes are left; outputs (-want +got):\n%s", len(rest), diff)
			}
		})
	}
}

// difference is the greatest between two lists of numbers.
func difference(a, b []byte) (worst float64) {
	if len(a) != len(b) {
		return math.Inf(1)
	}
	for i := 0; i < len(a); i += 4 {
		x, y := math.Float32frombits(binary.LittleEndian.Uint32(a[i:])), math.Float32frombits(binary.LittleEndian.Uint32(b[i:]))
		worst = max(worst, math.Abs(float64(x-y)))
	}
	return worst
}

// TestOnTheWire: who sends too slowly is not waited for, and others are served
// meanwhile; who does not say how much it sends is told to.
func TestOnTheWire(t *testing.T) {
	s := start(t, "--body-timeout", "1")
	s.ready(t)
	for name, test := range map[string]struct{ send, want string }{
		"no head":   {"", ""},
		"half head": {"POST " + inferPath + " HTTP/1.1\r\nHost: x\r\nContent-", ""},
		"no length": {"POST " + inferPath + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "HTTP/1.1 411 "},
		"half body": {"POST " + inferPath + " HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{", "HTTP/1.1 408 "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if _, err := fmt.Fprint(conn, test.send); err != nil {
				t.Fatal(err)
			}
			if status, _, body := s.do(t.Context(), http.MethodPost, inferPath, nil, requestOf(t, values(t))); status != http.StatusOK {
				t.Errorf("another client is answered %d: %.300s", status, body)
			}
			if err := conn.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
				t.Fatal(err)
			}
			var got bytes.Buffer
			if _, err := got.ReadFrom(conn); err != nil { // the end is what is wanted
				t.Fatalf("the connection is not closed: %v", err)
			}
			if !strings.HasPrefix(got.String(), test.want) || test.want == "" && got.Len() > 0 {
				t.Errorf("it is answered %q, want %q", got.String(), test.want)
			}
		})
	}
}
