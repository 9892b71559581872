package oip

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
)

// Value is a tensor with its content.
type Value struct {
	Name, Datatype string
	Shape          []int64
	// Data is the content: fixed-size elements, little-endian, row-major. Of
	// datatypes whose elements vary in size it is empty.
	Data []byte
}

// headerLength is the HTTP header with the length of the JSON part, in bytes, of
// a body that has tensors after it.
const headerLength = "Inference-Header-Content-Length"

// onWire is a tensor in the JSON part.
type onWire struct {
	Name       string          `json:"name"`
	Datatype   string          `json:"datatype"`
	Shape      []int64         `json:"shape"`
	Parameters *parameters     `json:"parameters,omitempty"`
	Data       json.RawMessage `json:"data,omitempty"`
}

type parameters struct {
	BinarySize *int `json:"binary_data_size,omitempty"`
}

type inferRequest struct {
	Parameters map[string]any `json:"parameters,omitempty"`
	Inputs     []onWire       `json:"inputs"`
}

// Infer runs a model on one input, sent as binary or as JSON, and returns its
// outputs, of which there is at least one.
func (c Client) Infer(ctx context.Context, model string, in Value, binary bool) ([]Value, error) {
	body, header, err := encode(in, binary)
	if err != nil {
		return nil, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.URL+"/v2/models/"+url.PathEscape(model)+"/infer", bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/json")
	if binary {
		r.Header.Set("Content-Type", "application/octet-stream")
		r.Header.Set(headerLength, strconv.Itoa(header))
	}
	answer, headers, err := c.do(r)
	if err != nil {
		return nil, fmt.Errorf("infer with model %s: %w", model, err)
	}
	out, err := decode(answer, headers.Get(headerLength))
	if err != nil {
		return nil, fmt.Errorf("read what model %s inferred: %w", model, err)
	}
	return out, nil
}

// encode returns a request's body and the length of its JSON part.
func encode(in Value, binary bool) (body []byte, header int, err error) {
	if size := sizes[in.Datatype]; size == 0 || elements(in.Shape)*int64(size) != int64(len(in.Data)) {
		return nil, 0, fmt.Errorf("input %s: %d bytes are no %s of shape %v", in.Name, len(in.Data), in.Datatype, in.Shape)
	}
	tensor := onWire{Name: in.Name, Datatype: in.Datatype, Shape: in.Shape}
	request := inferRequest{}
	if binary {
		tensor.Parameters = &parameters{BinarySize: new(len(in.Data))}
		request.Parameters = map[string]any{"binary_data_output": true}
	} else if tensor.Data, err = numbers(in.Datatype, in.Data); err != nil {
		return nil, 0, err
	}
	request.Inputs = []onWire{tensor}
	if body, err = json.Marshal(request); err != nil {
		return nil, 0, fmt.Errorf("encode the request: %w", err)
	}
	header = len(body)
	if binary {
		body = append(body, in.Data...)
	}
	return body, header, nil
}

// decode reads an answer. jsonPart is the length of its JSON part, "" for all.
func decode(body []byte, jsonPart string) ([]Value, error) {
	rest := []byte(nil)
	if jsonPart != "" {
		n, err := strconv.Atoi(jsonPart)
		if err != nil || n < 0 || n > len(body) {
			return nil, fmt.Errorf("%s is %q, of a body of %d bytes", headerLength, jsonPart, len(body))
		}
		body, rest = body[:n], body[n:]
	}
	var answer struct{ Outputs []onWire }
	if err := json.Unmarshal(body, &answer); err != nil {
		return nil, err
	}
	if len(answer.Outputs) == 0 {
		return nil, errors.New("there is no output")
	}
	out := make([]Value, 0, len(answer.Outputs))
	for _, o := range answer.Outputs {
		v := Value{Name: o.Name, Datatype: o.Datatype, Shape: o.Shape}
		var err error
		if o.Parameters != nil && o.Parameters.BinarySize != nil {
			n := *o.Parameters.BinarySize
			if n < 0 || n > len(rest) {
				return nil, fmt.Errorf("output %s says that it has %d bytes, of which %d came", o.Name, n, len(rest))
			}
			v.Data, rest = rest[:n:n], rest[n:]
		} else if v.Data, err = content(o.Datatype, o.Data); err != nil {
			return nil, fmt.Errorf("output %s: %w", o.Name, err)
		}
		if size := sizes[v.Datatype]; size > 0 && int64(len(v.Data)) != elements(v.Shape)*int64(size) {
			return nil, fmt.Errorf("output %s has %d bytes, which are no %s of shape %v", o.Name, len(v.Data), v.Datatype, v.Shape)
		}
		out = append(out, v)
	}
	return out, nil
}

// elements is how many elements a shape has, without -1.
func elements(shape []int64) int64 {
	n := int64(1)
	for _, d := range shape {
		n *= d
	}
	return n
}
