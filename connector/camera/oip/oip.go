package oip

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// Client asks one server. It is safe for concurrent use.
type Client struct {
	// URL is where the server is, such as http://10.244.1.7:8080.
	URL  string
	HTTP *http.Client
}

// Tensor describes an input or an output.
type Tensor struct {
	Name     string  `json:"name"`
	Datatype string  `json:"datatype"`
	Shape    []int64 `json:"shape"` // -1 where any length will do
}

// Model is a model's metadata.
type Model struct {
	Name     string   `json:"name"`
	Platform string   `json:"platform"`
	Inputs   []Tensor `json:"inputs"`
	Outputs  []Tensor `json:"outputs"`
}

// Model reads a model's metadata.
func (c Client) Model(ctx context.Context, name string) (Model, error) {
	var m Model
	if err := c.get(ctx, "/v2/models/"+url.PathEscape(name), &m); err != nil {
		return m, fmt.Errorf("read the metadata of model %s: %w", name, err)
	}
	if len(m.Inputs) == 0 {
		return m, fmt.Errorf("the metadata of model %s names no input", name)
	}
	return m, nil
}

// binaryExtension is what servers call binary tensors in their metadata.
const binaryExtension = "binary_tensor_data"

// Binary reports whether the server takes binary tensors.
func (c Client) Binary(ctx context.Context) (bool, error) {
	var server struct {
		Extensions []string `json:"extensions"`
	}
	if err := c.get(ctx, "/v2", &server); err != nil {
		return false, fmt.Errorf("read the server's metadata: %w", err)
	}
	return slices.Contains(server.Extensions, binaryExtension), nil
}

// Ready says why the server cannot infer now.
func (c Client) Ready(ctx context.Context) error {
	return c.get(ctx, "/v2/health/ready", nil)
}

// get reads a JSON document, or nothing for nil.
func (c Client) get(ctx context.Context, path string, into any) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, c.URL+path, nil)
	if err != nil {
		return err
	}
	body, _, err := c.do(r)
	if err != nil || into == nil {
		return err
	}
	if err := json.Unmarshal(body, into); err != nil {
		return fmt.Errorf("%s%s: %w", c.URL, path, err)
	}
	return nil
}

// maxAnswer bounds an answer, in bytes.
const maxAnswer = 256 << 20

// do returns the body of an answer 200, and the length of its JSON part; an error
// quotes what the server says otherwise.
func (c Client) do(r *http.Request) (body []byte, header http.Header, err error) {
	resp, err := c.HTTP.Do(r)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	body, err = io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return nil, nil, fmt.Errorf("read the answer: %w", err)
	}
	if resp.StatusCode == http.StatusOK {
		return body, resp.Header, nil
	}
	var said struct {
		Error string `json:"error"`
	}
	_ = json.Unmarshal(body, &said) // what is no JSON is quoted
	const quoted = 200
	text := cmp.Or(said.Error, string(bytes.TrimSpace(body[:min(len(body), quoted)])), http.StatusText(resp.StatusCode))
	return nil, nil, fmt.Errorf("the server answers %d: %s", resp.StatusCode, strings.TrimSpace(text))
}
