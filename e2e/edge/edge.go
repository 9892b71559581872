package edge

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"heteroaccel.io/e2e/machine"
	"heteroaccel.io/e2e/realnodes"
)

// Config says what to start.
type Config struct {
	// Out is where each step is reported; nil for nowhere.
	Out io.Writer
	// Late has the exporters serve the devices as DRA driver, on nodes with containerd 2,
	// and pods bound late, by a kube-scheduler that knows no extender.
	Late bool
	// Further are nodes beside those of realnodes, whose container runtime has no CDI.
	Further []*machine.Machine
}

// Edge is a running installation.
type Edge struct {
	*realnodes.Cluster
	// Extender, of whose Services it is that of the pages, Prometheus and Connector
	// are the URLs of these Services, by address.
	Extender, Prometheus, Connector string

	// verbs is where the scheduler asks the extender, and token is Onlooker's.
	verbs, token string

	late bool
	http *http.Client
}

// Start brings everything up. When it fails, or ctx ends, nothing is left.
func Start(ctx context.Context, cfg Config) (_ *Edge, err error) {
	base := realnodes.Config{Out: cfg.Out, Machines: realnodes.Machines(), DRA: cfg.Late}
	for _, m := range base.Machines {
		if cfg.Late {
			base.CDI = append(base.CDI, m.Name)
		}
	}
	base.Machines = append(base.Machines, cfg.Further...)
	c, err := realnodes.Start(ctx, base)
	if err != nil {
		return nil, err
	}
	e := &Edge{Cluster: c, late: cfg.Late}
	if err := e.install(ctx); err != nil {
		if ctx.Err() == nil {
			e.Explain()
		}
		return nil, errors.Join(err, e.Stop())
	}
	e.Sayf("HeteroAccel is ready")
	return e, nil
}

// Explain prints what may tell why the installation did not come up.
func (e *Edge) Explain() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for _, args := range []string{
		"get nodes,pods -A -o wide", "get events -A --sort-by=.lastTimestamp", "get inferenceprofiles", "get resourceslices,resourceclaims -A -o wide",
		"-n heteroaccel-system logs --tail=20 deployment/" + extender, "-n heteroaccel-system logs --tail=20 deployment/heteroaccel-webhook",
		"-n heteroaccel-system logs --tail=20 deployment/" + connector, "-n " + sessions + " get leases -o wide",
		"-n heteroaccel-exporter logs --tail=20 daemonset/heteroaccel-exporter", "-n heteroaccel-system logs --tail=20 deployment/" + prometheus,
	} {
		said, _ := e.Kubectl(ctx, strings.Fields(args)...) // it repeats its errors in what it said
		e.Sayf("$ kubectl %s\n%s", args, said)
	}
}
