package server

import (
	"context"
	"fmt"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"heteroaccel.io/extender/bypass"
	"heteroaccel.io/extender/explain"
	"heteroaccel.io/extender/history"
	"heteroaccel.io/extender/ui"
	"heteroaccel.io/extender/verbs"
	"heteroaccel.io/pkg/inventory"
	"heteroaccel.io/pkg/journal"
	"heteroaccel.io/pkg/kube"
	"heteroaccel.io/pkg/profile"
	"heteroaccel.io/pkg/schedulerconfig"
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
	// Other reports whether a pod is another replica of the extender.
	Other func(*corev1.Pod) bool
	// Decisions are what the webhook decided, as far as it is known here; Missing are
	// sentences on what is not.
	Decisions *journal.Journal
	Missing   func() []string
	// Conflict is why a node's telemetry is ignored, "" if it is not.
	Conflict func(node string) string
	// Suspended reports whether the recreation of pending pods is suspended.
	Suspended func() bool
	// NotRecreated are the pods that the API server refuses to recreate.
	NotRecreated func() []kube.NotRecreated
	// ManagedOnly leaves pods alone that HeteroAccel did not admit.
	ManagedOnly bool
	// Claims is set where the inventory has what is allocated to ResourceClaims.
	Claims bool
	// MayList reports whether the sender of a request for a page may list a resource,
	// in a namespace or, if that is "", in the whole cluster.
	MayList func(r *http.Request, resource schema.GroupResource, namespace string) (bool, error)
	// VerbsAt is where kube-scheduler calls the verbs.
	VerbsAt schedulerconfig.Endpoint
	// Registerer takes the server's metrics; nil leaves them unregistered.
	Registerer prometheus.Registerer
	Log        zerolog.Logger
}

// Server has a handler for each listener. None of them serves what another does.
type Server struct {
	// Verbs is for kube-scheduler, and Pages for people. UI is the live page, which shows
	// what Pages serve, and has no data of its own.
	Verbs, Pages, UI http.Handler
	// Run keeps what the live page shows up to date until its context ends.
	Run func(context.Context) error
}

// New returns the handlers of what the extender serves.
func New(c Config) (*Server, error) {
	calls, err := history.New(c.Inventory.Now())
	if err != nil {
		return nil, fmt.Errorf("allocate the history of calls: %w", err)
	}
	watcher := bypass.New(bypass.Config{
		Inventory: c.Inventory, Profiles: c.Profiles, History: calls,
		Ready: c.Ready, Other: c.Other, Registerer: c.Registerer, Log: c.Log,
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
	shown := explain.New(explain.Config{
		Inventory: c.Inventory, Profiles: c.Profiles, History: calls, Bypassed: watcher.Report, Alone: watcher.Alone,
		Conflict: c.Conflict, Claims: c.Claims, Decisions: c.Decisions, Missing: c.Missing,
		Suspended: c.Suspended, NotRecreated: c.NotRecreated, MayList: c.MayList, VerbsAt: c.VerbsAt,
	})
	asked, pages := serve.Router(c.Log), serve.Router(c.Log)
	asked.Post("/scheduler/filter", v.Filter)
	asked.Post("/scheduler/prioritize", v.Prioritize)
	asked.Post("/scheduler/preempt", v.Preempt)
	asked.NotFound(func(w http.ResponseWriter, r *http.Request) {
		serve.Error(w, http.StatusNotFound, "there is nothing at %s: here kube-scheduler posts to /scheduler/filter, prioritize and preempt; the pages for people are at --pages-bind-address", r.URL.Path)
	})
	shown.Route(pages)
	pages.NotFound(shown.NotFound)
	return &Server{Verbs: asked, Pages: pages, UI: ui.Handler(), Run: shown.Run}, nil
}
