package served

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/types"

	"heteroaccel.io/pkg/accel"
)

// staleRounds is after how many rounds without it what a server did is not known any more:
// a Prometheus server may be behind by some.
const staleRounds = 5

// What became of the attempt to read a server.
const (
	scraped = "scraped"
	queried = "queried" // Prometheus had it
	failed  = "failed"
	altered = "altered" // it runs another image or device than its variant has now
)

func newReads() *prometheus.CounterVec {
	reads := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "heteroaccel_webhook_server_reads_total",
		Help: "Attempts to read what a server reports of its inferences, by outcome.",
	}, []string{"outcome"})
	for _, o := range []string{scraped, queried, failed, altered} {
		reads.WithLabelValues(o)
	}
	return reads
}

var labels = []string{"pod_namespace", "owner", "inference", "kind"}

var (
	serversDesc = prometheus.NewDesc("heteroaccel_webhook_servers",
		"Pods that serve an inference: admitted, Ready, and without an end.", labels, nil)
	capacityDesc = prometheus.NewDesc("heteroaccel_webhook_server_capacity",
		"Inferences a second that the servers of an owner can do on a kind, as far as it is known how long one takes there.", labels, nil)
	rateDesc = prometheus.NewDesc("heteroaccel_webhook_server_rate",
		"Inferences a second that the servers of an owner did on a kind, as they report it.", labels, nil)
)

// Describe is of prometheus.Collector.
func (m *Meter) Describe(ch chan<- *prometheus.Desc) {
	ch <- serversDesc
	ch <- capacityDesc
	ch <- rateDesc
}

// Collect is of prometheus.Collector. It collects of the replica that decides, so that the
// replicas' metrics can be added up.
func (m *Meter) Collect(ch chan<- prometheus.Metric) {
	if m.Leads() != nil {
		return
	}
	type owned struct{ namespace, owner, inference string }
	type group struct {
		owned
		kind accel.Kind
	}
	type sums struct{ servers, capacity, rate float64 }
	groups := map[group]sums{}
	// silent are the owners of which a server does not report: what the others do would
	// look like what all do, and an autoscaler would take away some.
	silent := map[owned]bool{}
	now := time.Now()
	for inference, all := range m.pods.of() {
		of, known := m.Profiles.Get(inference)
		for _, s := range all {
			g := group{owned{s.Namespace, s.owner, inference}, s.Managed.Kind}
			to := groups[g]
			to.servers++
			if known {
				if took := of.ServerTime(s.Managed.Kind); took > 0 {
					to.capacity += 1 / took.Seconds()
				}
			}
			if rate, ok := m.rate(s.UID, now); ok {
				to.rate += rate
			} else {
				silent[g.owned] = true
			}
			groups[g] = to
		}
	}
	for g, s := range groups {
		send := func(desc *prometheus.Desc, value float64) {
			ch <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, g.namespace, g.owner, g.inference, string(g.kind))
		}
		send(serversDesc, s.servers)
		if s.capacity > 0 {
			send(capacityDesc, s.capacity)
		}
		if !silent[g.owned] {
			send(rateDesc, s.rate)
		}
	}
}

// rate is how many inferences a second a server did when it was read last; ok is false
// where that is long ago, or it was read only once.
func (m *Meter) rate(uid types.UID, now time.Time) (rate float64, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	h := m.histories[uid]
	if h == nil || !h.rated || now.Sub(h.seen) > staleRounds*m.Interval {
		return 0, false
	}
	return h.rate, true
}
