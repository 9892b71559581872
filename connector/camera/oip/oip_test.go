package oip

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"heteroaccel.io/connector/camera/cameratest"
)

func float32s(values ...float32) []byte {
	b, _ := binary.Append(nil, binary.LittleEndian, values) // fixed sizes: it cannot fail
	return b
}

// TestInfer: what is sent arrives, and what is answered comes back, both ways.
func TestInfer(t *testing.T) {
	for name, tt := range map[string]struct {
		binary   bool
		datatype string
		data     []byte
		mean     float32
	}{
		"binary floats": {true, "FP32", float32s(1, 2, 3, 4, 5, 9), 4},
		"binary bytes":  {true, "UINT8", []byte{0, 10, 255, 255, 0, 80}, 100},
		"JSON floats":   {false, "FP32", float32s(-1, .5, 1e-3, 0, 0, 0), -.49900001 / 6},
		"JSON bytes":    {false, "UINT8", []byte{6, 0, 0, 0, 0, 0}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			s := cameratest.NewServer(t, tt.binary, tt.datatype, 1, 3, 1, 2)
			c := Client{URL: s.URL, HTTP: s.Client()}
			takes, err := c.Binary(t.Context())
			if err != nil || takes != tt.binary {
				t.Fatalf("binary: %v, %v", takes, err)
			}
			if err := c.Ready(t.Context()); err != nil {
				t.Fatal(err)
			}
			m, err := c.Model(t.Context(), cameratest.Inference)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]Tensor{{"picture", tt.datatype, []int64{1, 3, 1, 2}}}, m.Inputs); diff != "" {
				t.Fatalf("inputs (-want +got):\n%s", diff)
			}
			out, err := c.Infer(t.Context(), m.Name, Value{"picture", tt.datatype, m.Inputs[0].Shape, tt.data}, takes)
			if err != nil {
				t.Fatal(err)
			}
			if len(out) != 1 || out[0].Name != "mean" || len(out[0].Data) != 4 {
				t.Fatalf("it answers %+v", out)
			}
			if mean := math.Float32frombits(binary.LittleEndian.Uint32(out[0].Data)); math.Abs(float64(mean-tt.mean)) > 1e-6 {
				t.Errorf("the mean is %v, want %v", mean, tt.mean)
			}
		})
	}
}

// TestRefused: what a server says of its refusal is quoted.
func TestRefused(t *testing.T) {
	s := cameratest.NewServer(t, true, "UINT8", 1, 3, 2, 2)
	c := Client{URL: s.URL, HTTP: s.Client()}
	picture := func(bytes int) Value { return Value{"picture", "UINT8", []int64{1, 3, 1, 2}, make([]byte, bytes)} }
	for name, tt := range map[string]struct {
		do   func(context.Context) error
		want string
	}{
		"another model": {func(ctx context.Context) error { _, err := c.Model(ctx, "faces"); return err }, "metadata of model faces: the server answers 404"},
		"another shape": {func(ctx context.Context) error {
			_, err := c.Infer(ctx, cameratest.Inference, picture(6), true)
			return err
		}, "400: picture UINT8 [1 3 1 2] has 6 values"},
		"not its shape": {func(ctx context.Context) error {
			_, err := c.Infer(ctx, cameratest.Inference, picture(7), true)
			return err
		}, "7 bytes are no UINT8 of shape [1 3 1 2]"},
	} {
		t.Run(name, func(t *testing.T) {
			if err := tt.do(t.Context()); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q in it", err, tt.want)
			}
		})
	}
}

// TestDecode: an answer is held to the protocol.
func TestDecode(t *testing.T) {
	for name, tt := range map[string]struct {
		body, header string
		want         []Value
		wrong        string
	}{
		"nested": {`{"outputs":[{"name":"a","datatype":"INT16","shape":[2,2],"data":[[1,-2],[3,4]]}]}`, "",
			[]Value{{"a", "INT16", []int64{2, 2}, []byte{1, 0, 0xfe, 0xff, 3, 0, 4, 0}}}, ""},
		"truths":         {`{"outputs":[{"name":"a","datatype":"BOOL","shape":[2],"data":[true,false]}]}`, "", []Value{{"a", "BOOL", []int64{2}, []byte{1, 0}}}, ""},
		"words":          {`{"outputs":[{"name":"a","datatype":"BYTES","shape":[1],"data":["x"]}]}`, "", []Value{{"a", "BYTES", []int64{1}, nil}}, ""},
		"too few":        {`{"outputs":[{"name":"a","datatype":"UINT8","shape":[3],"data":[1,2]}]}`, "", nil, "2 bytes, which are no UINT8 of shape [3]"},
		"too large":      {`{"outputs":[{"name":"a","datatype":"UINT8","shape":[1],"data":[256]}]}`, "", nil, "out of range"},
		"no number":      {`{"outputs":[{"name":"a","datatype":"FP32","shape":[1],"data":["x"]}]}`, "", nil, "x is no FP32"},
		"no output":      {`{"outputs":[]}`, "", nil, "there is no output"},
		"not JSON":       {`<html>`, "", nil, "invalid character"},
		"header too big": {`{}`, "3", nil, "of a body of 2 bytes"},
		"binary, cut":    {`{"outputs":[{"name":"a","datatype":"UINT8","shape":[2],"parameters":{"binary_data_size":2}}]}x`, "93", nil, "2 bytes, of which 1 came"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := decode([]byte(tt.body), tt.header)
			if (err != nil) != (tt.wrong != "") || err != nil && !strings.Contains(err.Error(), tt.wrong) {
				t.Fatalf("error %v, want %q", err, tt.wrong)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestModelWithoutInput: metadata that nothing can be shown to is an error.
func TestModelWithoutInput(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(Model{Name: "m"})
	}))
	defer s.Close()
	if _, err := (Client{URL: s.URL, HTTP: s.Client()}).Model(t.Context(), "m"); err == nil || !strings.Contains(err.Error(), "names no input") {
		t.Errorf("error %v", err)
	}
}
