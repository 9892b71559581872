package monitor

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"

	"heteroaccel.io/pkg/telemetry"
)

// answer is what Prometheus' HTTP API (v1) sends for a query.
type answer struct {
	Status    string `json:"status"`
	ErrorType string `json:"errorType"`
	Error     string `json:"error"`
	Data      result `json:"data"`
}

// result is a query's result, whose form its type tells.
type result struct {
	Type string          `json:"resultType"`
	Raw  json.RawMessage `json:"result"`
}

// rangeSeries is a series with the last of its samples.
type rangeSeries struct {
	Metric map[string]string `json:"metric"`
	Last   lastPoint         `json:"values"`
}

// parseAnswer returns the result, or Prometheus' own words for what is wrong.
func parseAnswer(body []byte) (result, error) {
	var a answer
	if err := json.Unmarshal(body, &a); err != nil {
		return result{}, fmt.Errorf("the answer is not that of Prometheus: %w", err)
	}
	if a.Status != "success" {
		return result{}, fmt.Errorf("it refuses the query: %s: %s", cmp.Or(a.ErrorType, "no reason given"), a.Error)
	}
	return a.Data, nil
}

// matrix reads the result of a range vector.
func (r result) matrix() ([]rangeSeries, error) {
	if r.Type != "matrix" {
		return nil, fmt.Errorf("the result is a %q, not a matrix", r.Type)
	}
	var out []rangeSeries
	if err := json.Unmarshal(r.Raw, &out); err != nil {
		return nil, fmt.Errorf("the matrix cannot be read: %w", err)
	}
	return out, nil
}

// scalar reads the result of a scalar and returns its value, a time in
// seconds, in milliseconds.
func (r result) scalar() (int64, error) {
	var p point
	if r.Type != "scalar" {
		return 0, fmt.Errorf("the result is a %q, not a scalar", r.Type)
	}
	if err := json.Unmarshal(r.Raw, &p); err != nil {
		return 0, fmt.Errorf("the scalar cannot be read: %w", err)
	}
	if !(math.Abs(p.value) < 1e12) {
		return 0, fmt.Errorf("the scalar %v is no time", p.value)
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
		return fmt.Errorf("%v is no time", seconds)
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

// lastPoint is the last sample of a list. The others, of which a minute has
// many, are not even parsed.
type lastPoint point

// UnmarshalJSON implements json.Unmarshaler: b is a list of points.
func (l *lastPoint) UnmarshalJSON(b []byte) error {
	open := bytes.LastIndexByte(b, '[')
	end := len(bytes.TrimRight(b, " \t\r\n")) - 1
	if open <= 0 || end <= open || b[end] != ']' {
		return errors.New("a series has no samples")
	}
	return (*point)(l).UnmarshalJSON(b[open:end])
}

// scrapeOf names a scraped target that speaks of a node.
type scrapeOf struct {
	node, job, instance string
}

// lastScrape is what one target said of a node when it was last scraped.
type lastScrape struct {
	scrapeOf
	millis int64
	series []telemetry.Series
}

// lastScrapes keeps, of each node's targets, the one scraped last, and of its
// series exactly those of that scrape. All samples of a scrape have the same
// time, so a series whose last sample is older was not in it.
func lastScrapes(series []rangeSeries) []lastScrape {
	latest := map[scrapeOf]int64{}
	of := func(s rangeSeries) scrapeOf {
		node := telemetry.NodeOf(telemetry.Series{Labels: s.Metric})
		return scrapeOf{node, s.Metric["job"], s.Metric["instance"]}
	}
	for _, s := range series {
		key := of(s)
		latest[key] = max(latest[key], s.Last.millis)
	}
	byNode := map[string]*lastScrape{}
	for key, millis := range latest {
		have := byNode[key.node]
		if have == nil || millis > have.millis || (millis == have.millis && before(key, have.scrapeOf)) {
			byNode[key.node] = &lastScrape{scrapeOf: key, millis: millis}
		}
	}
	for _, s := range series {
		key := of(s)
		target := byNode[key.node]
		if target.scrapeOf == key && s.Last.millis == target.millis {
			target.series = append(target.series, telemetry.Series{Name: s.Metric["__name__"], Labels: s.Metric, Value: s.Last.value})
		}
	}
	out := make([]lastScrape, 0, len(byNode))
	for _, s := range byNode {
		out = append(out, *s)
	}
	slices.SortFunc(out, func(x, y lastScrape) int { return cmp.Compare(x.node, y.node) })
	return out
}

// before orders targets, so that of two scraped in the same millisecond always
// the same one is taken.
func before(x, y scrapeOf) bool {
	return cmp.Or(cmp.Compare(x.job, y.job), cmp.Compare(x.instance, y.instance)) < 0
}
