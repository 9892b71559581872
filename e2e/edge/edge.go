package edge

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"heteroaccel.io/e2e/realnodes"
)

// Config says what to start.
type Config struct {
	// Out is where each step is reported; nil for nowhere.
	Out io.Writer
}

// Edge is a running installation.
type Edge struct {
	*realnodes.Cluster
	// Extender, of whose Services it is that of the pages, Prometheus and Connector
	// are the URLs of these Services, by address.
	Extender, Prometheus, Connector string

	// verbs is where the scheduler asks the extender, and token is Onlooker's.
	verbs, token string

	http *http.Client
}

// Start brings everything up. When it fails, or ctx ends, nothing is left.
func Start(ctx context.Context, cfg Config) (_ *Edge, err error) {
	c, err := realnodes.Start(ctx, realnodes.Config{Out: cfg.Out})
	if err != nil {
		return nil, err
	}
	e := &Edge{Cluster: c}
	if err := e.install(ctx); err != nil {
		if ctx.Err() == nil {
			e.explain()
		}
		return nil, errors.Join(err, e.Stop())
	}
	e.Sayf("HeteroAccel is ready")
	return e, nil
}

// explain prints what may tell why the installation did not come up.
func (e *Edge) explain() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for _, args := range []string{
		"get nodes,pods -A -o wide", "get events -A --sort-by=.lastTimestamp", "get inferenceprofiles",
		"-n heteroaccel-system logs --tail=20 deployment/" + extender, "-n heteroaccel-system logs --tail=20 deployment/heteroaccel-webhook",
		"-n heteroaccel-system logs --tail=20 deployment/" + connector, "-n " + sessions + " get leases -o wide",
		"-n heteroaccel-exporter logs --tail=20 daemonset/heteroaccel-exporter", "-n heteroaccel-system logs --tail=20 deployment/" + prometheus,
	} {
		said, _ := e.Kubectl(ctx, strings.Fields(args)...) // it repeats its errors in what it said
		e.Sayf("$ kubectl %s\n%s", args, said)
	}
}
