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

// answer is the body that Prometheus' HTTP API (v1) sends for a query whose result
// has the form T.
type answer[T any] struct {
	Status    string `json:"status"`
	ErrorType string `json:"errorType"`
	Error     string `json:"error"`
	Data      struct {
		Type   string `json:"resultType"`
		Result T      `json:"result"`
	} `json:"data"`
}

// The results of the queries that are sent.
type (
	// scalar is a time in seconds.
	scalar = point
	// vector has one sample of each series, matrix the last of several.
	vector []instantSeries
	matrix []rangeSeries
)

// rangeSeries is a series with the last of its samples.
type rangeSeries struct {
	Metric map[string]string `json:"metric"`
	Last   lastPoint         `json:"values"`
}

// instantSeries is a series with one sample.
type instantSeries struct {
	Metric map[string]string `json:"metric"`
	Value  point             `json:"value"`
}

// parseAnswer returns the result, which Prometheus calls by the name kind, or
// Prometheus' own error. It reads the body once, and twice only to find out what
// is wrong.
func parseAnswer[T any](body []byte, kind string) (T, error) {
	var a answer[T]
	err := json.Unmarshal(body, &a)
	head := answer[json.RawMessage]{Status: a.Status, ErrorType: a.ErrorType, Error: a.Error}
	head.Data.Type = a.Data.Type
	if err != nil {
		if json.Unmarshal(body, &head) != nil {
			return a.Data.Result, fmt.Errorf("not an answer of Prometheus: %w", err)
		}
	}
	switch {
	case head.Status != "success":
		err = fmt.Errorf("query failed: %s: %s", cmp.Or(head.ErrorType, "no reason given"), head.Error)
	case head.Data.Type != kind:
		err = fmt.Errorf("result has type %q, want %s", head.Data.Type, kind)
	case err != nil:
		err = fmt.Errorf("decode %s: %w", kind, err)
	}
	return a.Data.Result, err
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
	at, err := millis(seconds)
	if err != nil {
		return err
	}
	var text string
	if err := json.Unmarshal(pair[1], &text); err != nil {
		return err
	}
	value, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return err
	}
	*p = point{at, value}
	return nil
}

// millis is a time in milliseconds of one in seconds.
func millis(seconds float64) (int64, error) {
	if !(math.Abs(seconds) < 1e12) {
		return 0, fmt.Errorf("%v is not a time", seconds)
	}
	return int64(math.Round(seconds * 1000)), nil
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
