package workload

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/inventory"
	"heteroaccel.io/pkg/profile"
	"heteroaccel.io/pkg/servicetime"
)

// state is how far a pod is.
type state string

const (
	waiting  state = "waiting"  // kube-scheduler has not bound it
	starting state = "starting" // it is bound, and no container runs: its image may be pulled
	running  state = "running"
)

// buckets are those of waits, in seconds: from a pod that got an idle device at once to one
// of a queue of hours.
var buckets = []float64{1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 10800}

// Collector has the metrics. Its methods may be called from any goroutine.
type Collector struct {
	managed  func() []*inventory.Pod
	profiles *profile.Store
	leads    func() error
	now      func() time.Time

	pods, times *prometheus.Desc
	waits       *prometheus.HistogramVec
}

// New returns a collector of the pods that managed returns. It collects while leads returns
// nil, so that the replicas' metrics can be added up.
func New(managed func() []*inventory.Pod, profiles *profile.Store, leads func() error, now func() time.Time) *Collector {
	return &Collector{
		managed: managed, profiles: profiles, leads: leads, now: now,
		pods: prometheus.NewDesc("heteroaccel_webhook_pods",
			"Pods that were admitted for an accelerator and have not ended, by how far they are.",
			[]string{"pod_namespace", "inference", "kind", "state"}, nil),
		times: prometheus.NewDesc("heteroaccel_webhook_run_seconds",
			"How long a run takes: as the profile hints, as was learned, as is expected of both, and how long an inference on a server, as these report it.",
			[]string{"inference", "kind", "source"}, nil),
		waits: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "heteroaccel_webhook_pod_wait_seconds",
			Help:    "How long pods waited, from their first admission to the start of their first container.",
			Buckets: buckets,
		}, []string{"inference", "kind"}),
	}
}

// Started takes a pod whose first container has started.
func (c *Collector) Started(p *inventory.Pod) {
	if p.Managed == nil || p.Run == nil || p.Run.Created.IsZero() || c.leads() != nil {
		return
	}
	if _, known := c.profiles.Get(p.Managed.Inference); !known {
		return
	}
	c.waits.WithLabelValues(p.Managed.Inference, string(p.Managed.Kind)).Observe(waited(p, c.now()).Seconds())
}

// waited is how long a pod waited that has started, as was seen now. The API cuts the time
// to whole seconds: within that second our own clock decides.
func waited(p *inventory.Pod, now time.Time) time.Duration {
	started := p.Run.Started
	if latest := started.Add(time.Second); now.After(latest) {
		started = latest
	} else if now.After(started) {
		started = now
	}
	return max(0, started.Sub(p.First()))
}

// Describe is of prometheus.Collector.
func (c *Collector) Describe(ch chan<- *prometheus.Desc) {
	ch <- c.pods
	ch <- c.times
	c.waits.Describe(ch)
}

// Collect is of prometheus.Collector.
func (c *Collector) Collect(ch chan<- prometheus.Metric) {
	leads := c.leads() == nil
	if leads {
		// Of a series that begins at 1 Prometheus does not see that it was 0 before.
		for _, p := range c.profiles.All() {
			for _, k := range p.Kinds() {
				c.waits.WithLabelValues(p.Name, string(k))
			}
		}
	}
	c.waits.Collect(ch)
	if !leads {
		return
	}
	type group struct {
		namespace, inference string
		kind                 accel.Kind
		state                state
	}
	groups := map[group]int{}
	for _, p := range c.managed() {
		if !p.Done {
			groups[group{p.Namespace, p.Managed.Inference, p.Managed.Kind, stateOf(p)}]++
		}
	}
	for g, n := range groups {
		ch <- prometheus.MustNewConstMetric(c.pods, prometheus.GaugeValue, float64(n), g.namespace, g.inference, string(g.kind), string(g.state))
	}
	for _, p := range c.profiles.All() {
		for i := range p.Variants {
			v := &p.Variants[i]
			for source, d := range map[string]time.Duration{"hint": v.ServiceTime, "learned": v.Learned.Time(), "expected": v.Expected, "served": v.ServedBy().Time() / servicetime.ServedRuns} {
				if d > 0 {
					ch <- prometheus.MustNewConstMetric(c.times, prometheus.GaugeValue, d.Seconds(), p.Name, string(v.Kind), source)
				}
			}
		}
	}
}

func stateOf(p *inventory.Pod) state {
	switch {
	case p.Node == "":
		return waiting
	case p.Run == nil || p.Run.Started.IsZero():
		return starting
	}
	return running
}
