package monitor

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
)

// answer is the body that Prometheus' HTTP API (v1) sends for a query.
type answer struct {
	Status    string `json:"status"`
	ErrorType string `json:"errorType"`
	Error     string `json:"error"`
	Data      result `json:"data"`
}

// result is a query's result; its type says which form Raw has.
type result struct {
	Type string          `json:"resultType"`
	Raw  json.RawMessage `json:"result"`
}

// rangeSeries is a series with the last of its samples.
type rangeSeries struct {
	Metric map[string]string `json:"metric"`
	Last   lastPoint         `json:"values"`
}

// parseAnswer returns the result, or Prometheus' own error.
func parseAnswer(body []byte) (result, error) {
	var a answer
	if err := json.Unmarshal(body, &a); err != nil {
		return result{}, fmt.Errorf("not an answer of Prometheus: %w", err)
	}
	if a.Status != "success" {
		return result{}, fmt.Errorf("query failed: %s: %s", cmp.Or(a.ErrorType, "no reason given"), a.Error)
	}
	return a.Data, nil
}

// matrix reads the result of a range vector.
func (r result) matrix() ([]rangeSeries, error) {
	if r.Type != "matrix" {
		return nil, fmt.Errorf("result has type %q, want matrix", r.Type)
	}
	var out []rangeSeries
	if err := json.Unmarshal(r.Raw, &out); err != nil {
		return nil, fmt.Errorf("decode matrix: %w", err)
	}
	return out, nil
}

// instantSeries is a series with one sample.
type instantSeries struct {
	Metric map[string]string `json:"metric"`
	Value  point             `json:"value"`
}

// vector reads the result of an instant vector.
func (r result) vector() ([]instantSeries, error) {
	if r.Type != "vector" {
		return nil, fmt.Errorf("result has type %q, want vector", r.Type)
	}
	var out []instantSeries
	if err := json.Unmarshal(r.Raw, &out); err != nil {
		return nil, fmt.Errorf("decode vector: %w", err)
	}
	return out, nil
}

// scalar reads a scalar that is a time in seconds, and returns it in
// milliseconds.
func (r result) scalar() (int64, error) {
	var p point
	if r.Type != "scalar" {
		return 0, fmt.Errorf("result has type %q, want scalar", r.Type)
	}
	if err := json.Unmarshal(r.Raw, &p); err != nil {
		return 0, fmt.Errorf("decode scalar: %w", err)
	}
	if !(math.Abs(p.value) < 1e12) {
		return 0, fmt.Errorf("scalar %v is not a time", p.value)
	}
	return int64(math.Round(p.value * 1000)), nil
}

// point is one sample as Prometheus writes it: [1700000000.123, "1.5"].
type point struct {
	millis int64
	value  float64
}

// UnmarshalJSON implements json.Unmarshaler.
func (p *point) UnmarshalJSON(b []byte) error {
	var pair [2]json.RawMessage
	if err := json.Unmarshal(b, &pair); err != nil {
		return err
	}
	var seconds float64
	if err := json.Unmarshal(pair[0], &seconds); err != nil {
		return err
	}
	if !(math.Abs(seconds) < 1e12) {
		return fmt.Errorf("%v is not a time", seconds)
	}
	var text string
	if err := json.Unmarshal(pair[1], &text); err != nil {
		return err
	}
	value, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return err
	}
	*p = point{int64(math.Round(seconds * 1000)), value}
	return nil
}

// lastPoint is the last sample of a list. It skips the others without parsing
// them: a minute has many.
type lastPoint point

// UnmarshalJSON implements json.Unmarshaler: b is a list of points.
func (l *lastPoint) UnmarshalJSON(b []byte) error {
	open := bytes.LastIndexByte(b, '[')
	end := len(bytes.TrimRight(b, " \t\r\n")) - 1
	if open <= 0 || end <= open || b[end] != ']' {
		return errors.New("series without samples")
	}
	return (*point)(l).UnmarshalJSON(b[open:end])
}
