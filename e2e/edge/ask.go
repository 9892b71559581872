package edge

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"heteroaccel.io/pkg/accel"
)

// View is what the extender's /nodes shows.
type View struct {
	Nodes []struct {
		Name      string `json:"name"`
		Telemetry *struct {
			Fresh bool `json:"fresh"`
		} `json:"telemetry"`
		Devices []Device `json:"devices"`
	} `json:"nodes"`
}

// Device is a device there.
type Device struct {
	Kind        accel.Kind `json:"kind"`
	ID          string     `json:"id"`
	Resource    string     `json:"resource"`
	Healthy     bool       `json:"healthy"`
	Allocated   int        `json:"allocated"`
	ExternalUse string     `json:"externalUse"`
	State       string     `json:"state"`
	Holders     []struct {
		Namespace string `json:"namespace"`
		Pod       string `json:"pod"`
	} `json:"holders"`
}

// Fresh reports whether a node has fresh telemetry.
func (v View) Fresh(node string) bool {
	for _, n := range v.Nodes {
		if n.Name == node {
			return n.Telemetry != nil && n.Telemetry.Fresh
		}
	}
	return false
}

// Device returns the node's device of a kind, ok false when it has none.
func (v View) Device(node string, kind accel.Kind) (_ Device, ok bool) {
	for _, n := range v.Nodes {
		if i := slices.IndexFunc(n.Devices, func(d Device) bool { return d.Kind == kind }); n.Name == node && i >= 0 {
			return n.Devices[i], true
		}
	}
	return Device{}, false
}

// Inventory is what the extender shows now.
func (e *Edge) Inventory(ctx context.Context) (View, error) {
	var v View
	body, err := e.Get(ctx, e.Extender+"/nodes?format=json")
	if err != nil {
		return v, err
	}
	if err := json.Unmarshal([]byte(body), &v); err != nil {
		return v, fmt.Errorf("read the extender's nodes: %w", err)
	}
	return v, nil
}

// Get reads a page of the extender or of Prometheus.
func (e *Edge) Get(ctx context.Context, at string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at, nil)
	if err != nil {
		return "", err
	}
	if strings.HasPrefix(at, e.Extender) {
		req.Header.Set("Authorization", "Bearer "+e.token)
	}
	resp, err := e.http.Do(req)
	if err != nil {
		return "", err // it names the URL
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return "", fmt.Errorf("read %s: %w", at, err)
	}
	if resp.StatusCode != http.StatusOK {
		return "", fmt.Errorf("%s answered %s: %s", at, resp.Status, strings.TrimSpace(string(body)))
	}
	return string(body), nil
}

// Series is one series of an instant query, with its value.
type Series struct {
	Labels map[string]string
	Value  float64
}

// Label is a label of ours. Prometheus calls it exported_… where it has one of
// that name itself.
func (s Series) Label(name string) string {
	return cmp.Or(s.Labels["exported_"+name], s.Labels[name])
}

// Query asks Prometheus.
func (e *Edge) Query(ctx context.Context, promql string) ([]Series, error) {
	body, err := e.Get(ctx, e.Prometheus+"/api/v1/query?query="+url.QueryEscape(promql))
	if err != nil {
		return nil, err
	}
	var answer struct {
		Data struct {
			Result []struct {
				Metric map[string]string `json:"metric"`
				Value  [2]any            `json:"value"`
			} `json:"result"`
		} `json:"data"`
	}
	if err := json.Unmarshal([]byte(body), &answer); err != nil {
		return nil, fmt.Errorf("read the answer of Prometheus: %w", err)
	}
	var out []Series
	for _, r := range answer.Data.Result {
		text, ok := r.Value[1].(string)
		if !ok {
			return nil, errors.New("read the answer of Prometheus: a value is not a string")
		}
		value, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return nil, fmt.Errorf("read the answer of Prometheus: %w", err)
		}
		out = append(out, Series{Labels: r.Metric, Value: value})
	}
	return out, nil
}
