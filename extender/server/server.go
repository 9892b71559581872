package server

import (
	"fmt"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"heteroaccel.io/extender/bypass"
	"heteroaccel.io/extender/explain"
	"heteroaccel.io/extender/history"
	"heteroaccel.io/extender/verbs"
	"heteroaccel.io/pkg/inventory"
	"heteroaccel.io/pkg/kube"
	"heteroaccel.io/pkg/profile"
	"heteroaccel.io/pkg/serve"
)

// Config is what the server reads and reports to. All of it is needed but
// Registerer.
type Config struct {
	Inventory *inventory.Inventory
	Profiles  *profile.Store
	// Ready says why requests should not come here yet, or nil.
	Ready func() error
	// FollowPods calls set and remove for every pod once the inventory has it,
	// one at a time, as kube.Feeds does.
	FollowPods func(set func(*corev1.Pod), remove func(types.NamespacedName))
	// Conflict is why a node's telemetry is ignored, "" if it is not.
	Conflict func(node string) string
	// Suspended reports whether the recreation of pending pods is suspended.
	Suspended func() bool
	// NotRecreated are the pods that the API server refuses to recreate.
	NotRecreated func() []kube.NotRecreated
	// ManagedOnly leaves pods alone that HeteroAccel did not admit.
	ManagedOnly bool
	// Registerer takes the server's metrics; nil leaves them unregistered.
	Registerer prometheus.Registerer
	// Metrics serves /metrics.
	Metrics http.Handler
	Log     zerolog.Logger
}

// New returns the handler of everything the extender serves.
func New(c Config) (http.Handler, error) {
	calls, err := history.New(c.Inventory.Now())
	if err != nil {
		return nil, fmt.Errorf("allocate the history of calls: %w", err)
	}
	watcher := bypass.New(bypass.Config{
		Inventory: c.Inventory, Profiles: c.Profiles, History: calls,
		Ready: c.Ready, Registerer: c.Registerer, Log: c.Log,
	})
	v, err := verbs.New(verbs.Config{
		Inventory: c.Inventory, History: calls, AskedAbout: watcher.AskedAbout,
		ManagedOnly: c.ManagedOnly, Registerer: c.Registerer, Log: c.Log,
	})
	if err != nil {
		return nil, err
	}
	c.FollowPods(v.SetPod, v.DeletePod)
	c.FollowPods(watcher.SetPod, watcher.DeletePod)
	pages := explain.New(explain.Config{
		Inventory: c.Inventory, Profiles: c.Profiles, History: calls, Bypassed: watcher.Report,
		Conflict: c.Conflict, Suspended: c.Suspended, NotRecreated: c.NotRecreated, Further: further,
	})

	r := serve.Router(c.Log)
	pages.Route(r)
	r.NotFound(pages.NotFound)
	r.Post("/scheduler/filter", v.Filter)
	r.Post("/scheduler/prioritize", v.Prioritize)
	r.Post("/scheduler/preempt", v.Preempt)
	r.Get("/healthz", serve.Probe(func() error { return nil }))
	r.Get("/readyz", serve.Probe(c.Ready))
	r.Method(http.MethodGet, "/metrics", c.Metrics)
	return r, nil
}

// further are the endpoints that are no pages.
var further = []explain.Endpoint{
	{Method: "GET", Path: "/healthz", Shows: "whether the process is alive"},
	{Method: "GET", Path: "/readyz", Shows: "whether it is ready, and what is missing"},
	{Method: "GET", Path: "/metrics", Shows: "metrics for Prometheus"},
	{Method: "POST", Path: "/scheduler/filter", Shows: "for kube-scheduler: which nodes have a usable device"},
	{Method: "POST", Path: "/scheduler/prioritize", Shows: "for kube-scheduler: how good each node is"},
	{Method: "POST", Path: "/scheduler/preempt", Shows: "for kube-scheduler: on which nodes evicting pods would help"},
}
