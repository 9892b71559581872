package verbs

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	corev1 "k8s.io/api/core/v1"
	extenderv1 "k8s.io/kube-scheduler/extender/v1"

	"heteroaccel.io/extender/extendertest"
	"heteroaccel.io/extender/history"
	"heteroaccel.io/pkg/resources"
	"heteroaccel.io/pkg/serve"
)

const gpu = extendertest.GPU

// rig serves the verbs for a cluster.
type rig struct {
	*httptest.Server
	*extendertest.Cluster
	history *history.Store
	reg     *prometheus.Registry
}

func newRig(tb testing.TB, clock func() time.Time, edits ...func(*Config)) *rig {
	tb.Helper()
	r := &rig{Cluster: extendertest.New(tb, clock), reg: prometheus.NewRegistry()}
	r.Server = httptest.NewServer(r.handler(tb, edits...))
	tb.Cleanup(r.Server.Close)
	return r
}

func (r *rig) handler(tb testing.TB, edits ...func(*Config)) http.Handler {
	tb.Helper()
	var err error
	if r.history, err = history.New(r.Inventory.Now()); err != nil {
		tb.Fatal(err)
	}
	c := Config{
		Inventory: r.Inventory, History: r.history, AskedAbout: func(resources.Amounts, time.Time) {},
		Registerer: r.reg, Log: zerolog.New(zerolog.NewTestWriter(tb)),
	}
	for _, edit := range edits {
		edit(&c)
	}
	v, err := New(c)
	if err != nil {
		tb.Fatal(err)
	}
	r.FollowPods(v.SetPod, v.DeletePod)
	h := serve.Router(c.Log)
	h.Post("/scheduler/filter", v.Filter)
	h.Post("/scheduler/prioritize", v.Prioritize)
	h.Post("/scheduler/preempt", v.Preempt)
	return h
}

func (r *rig) post(tb testing.TB, path string, args, into any) {
	tb.Helper()
	extendertest.Post(tb, r.URL+path, args, into)
}

func (r *rig) filter(tb testing.TB, pod *corev1.Pod, names ...string) extenderv1.ExtenderFilterResult {
	tb.Helper()
	names = append([]string{}, names...) // never null
	var result extenderv1.ExtenderFilterResult
	r.post(tb, "/scheduler/filter", extenderv1.ExtenderArgs{Pod: pod, NodeNames: &names}, &result)
	return result
}

// preempt posts what kube-scheduler sends to an extender that is
// nodeCacheCapable.
func (r *rig) preempt(tb testing.TB, pod *corev1.Pod, candidates map[string]*extenderv1.MetaVictims) map[string]*extenderv1.MetaVictims {
	tb.Helper()
	var result extenderv1.ExtenderPreemptionResult
	r.post(tb, "/scheduler/preempt", extenderv1.ExtenderPreemptionArgs{Pod: pod, NodeNameToMetaVictims: candidates}, &result)
	return result.NodeNameToMetaVictims
}
