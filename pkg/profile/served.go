package profile

import (
	"context"
	"errors"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/profile/v1alpha1"
	"heteroaccel.io/pkg/servicetime"
)

// Load is how busy a server was.
type Load string

const (
	// Light is less than half an inference under way on average, Busy more.
	Light Load = "light"
	Busy  Load = "busy"
)

// Loads are all of them.
var Loads = [...]Load{Light, Busy}

// ServerMetrics are where servers report their inferences, prepared for reading.
type ServerMetrics struct {
	Port int32
	Path string
	// Sum and Count are the names of the two series, and Unit what one of the sum is.
	Sum, Count string
	Unit       time.Duration
	Labels     map[string]string
}

func serverMetrics(in *v1alpha1.ServerMetrics) (*ServerMetrics, error) {
	if in == nil {
		return nil, nil
	}
	m := &ServerMetrics{Port: in.Port, Path: in.Path, Sum: in.Sum, Count: in.Count, Labels: in.MatchLabels}
	if in.Histogram != "" {
		m.Sum, m.Count = in.Histogram+"_sum", in.Histogram+"_count"
	}
	if m.Path == "" {
		m.Path = "/metrics"
	}
	switch in.Unit {
	case "", "s":
		m.Unit = time.Second
	case "ms":
		m.Unit = time.Millisecond
	case "us":
		m.Unit = time.Microsecond
	case "ns":
		m.Unit = time.Nanosecond
	}
	if m.Sum == "" || m.Count == "" || m.Unit == 0 || m.Port < 1 || m.Port > 65535 || m.Path[0] != '/' {
		return nil, errors.New("serverMetrics needs a port, a histogram or both sum and count, a path that begins with '/' and one of the units s, ms, us and ns")
	}
	return m, nil
}

// ServedKey is what is told apart of the times of servers.
type ServedKey struct {
	Kind accel.Kind
	Load Load
}

// served reads what a status says of the servers of one form of a variant.
func served(in *v1alpha1.InferenceProfile, kind accel.Kind, hash string, load Load) servicetime.Measured {
	for i := range in.Status.Served {
		s := &in.Status.Served[i]
		if s.Load == string(load) && s.Accelerator == string(kind) && s.VariantHash == hash && hash != "" {
			return measured(&v1alpha1.LearnedTime{Namespaces: s.Namespaces})
		}
	}
	return nil
}

// servedOf is what a status says of the servers of a variant, whatever their load.
func servedOf(in *v1alpha1.InferenceProfile, v *Variant) map[Load]servicetime.Measured {
	if _, pending := resetOf(in); pending {
		return nil
	}
	out := map[Load]servicetime.Measured{}
	for _, load := range Loads {
		out[load] = served(in, v.Kind, servedHash(in, v.Spec), load)
	}
	return out
}

// ServedBy is what decisions about servers go by: what busy ones report, or else what
// idle ones do.
func (v *Variant) ServedBy() servicetime.Measured {
	if busy := v.Served[Busy]; busy.Reliable() {
		return busy
	}
	return v.Served[Light]
}

// mergeServed is merge of what servers reported.
func mergeServed(in *v1alpha1.InferenceProfile, more map[ServedKey]Runs) []v1alpha1.ServedTime {
	if _, pending := resetOf(in); pending || in.Spec.ServerMetrics == nil {
		return nil
	}
	var out []v1alpha1.ServedTime
	for i := range in.Spec.Variants {
		kind, err := accel.ParseKind(in.Spec.Variants[i].Accelerator)
		if err != nil {
			continue
		}
		own := servedHash(in, &in.Spec.Variants[i])
		for _, load := range Loads {
			known := served(in, kind, own, load)
			if r, ok := more[ServedKey{kind, load}]; ok && r.Hash == own {
				known = addAll(known, r)
			}
			if len(known) == 0 {
				continue
			}
			l := learnedTime(kind, own, known.Sort())
			out = append(out, v1alpha1.ServedTime{
				Accelerator: l.Accelerator, Load: string(load), Time: metav1.Duration{Duration: (l.Time.Duration / servicetime.ServedRuns).Round(time.Microsecond)},
				Readings: l.Runs, LastObserved: l.LastObserved, VariantHash: own, Namespaces: l.Namespaces,
			})
		}
	}
	return out
}

// AddServed adds readings of servers to the status of a profile, as AddRuns does runs.
func (c *Client) AddServed(ctx context.Context, name string, more map[ServedKey]Runs) (retry bool, err error) {
	return c.add(ctx, name, func(in *v1alpha1.InferenceProfile) { in.Status.Served = mergeServed(in, more) })
}
