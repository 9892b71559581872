//go:build faults

package faults

import (
	"context"
	"errors"
	"net"
	"os"
	"testing"

	"google.golang.org/grpc"
	podresources "k8s.io/kubelet/pkg/apis/podresources/v1"

	"heteroaccel.io/e2e/faults/apiproxy"
	"heteroaccel.io/e2e/faults/crash"
	"heteroaccel.io/e2e/machine/kubelet"
)

// lister is a kubelet at whose calls the exporter is killed, which makes no others.
type lister struct {
	*kubelet.Server
	victim *victim
}

// call carries a call out, or kills who makes it.
func call[A any](l lister, sort string, carry func() (A, error)) (a A, err error) {
	phase, p := l.victim.phase.Load().(string), l.victim.x.Process(l.victim.name)
	if phase == dead {
		return a, apiproxy.ErrGone
	}
	switch l.victim.points.Call(phase, sort) {
	case crash.Before:
		l.victim.kill(p)
		return a, apiproxy.ErrGone
	case crash.After:
		_, err = carry()
		l.victim.kill(p)
		return a, errors.Join(apiproxy.ErrGone, err)
	}
	return carry()
}

// List implements the service.
func (l lister) List(ctx context.Context, r *podresources.ListPodResourcesRequest) (*podresources.ListPodResourcesResponse, error) {
	return call(l, "List", func() (*podresources.ListPodResourcesResponse, error) { return l.Server.List(ctx, r) })
}

// Get implements the service.
func (l lister) Get(ctx context.Context, r *podresources.GetPodResourcesRequest) (*podresources.GetPodResourcesResponse, error) {
	return call(l, "Get", func() (*podresources.GetPodResourcesResponse, error) { return l.Server.Get(ctx, r) })
}

// GetAllocatableResources implements the service.
func (l lister) GetAllocatableResources(ctx context.Context, r *podresources.AllocatableResourcesRequest) (*podresources.AllocatableResourcesResponse, error) {
	return call(l, "GetAllocatableResources", func() (*podresources.AllocatableResourcesResponse, error) {
		return l.Server.GetAllocatableResources(ctx, r)
	})
}

func TestExporterKilled(t *testing.T) {
	x := start(t)
	const node = "node-000"
	v := x.victim(t, "exporter-"+node, x.URL("exporter-"+node, "/metrics"), func(context.Context) error { return x.StartExporter(node) })
	n := x.Node(node)
	n.Kubelet.Stop()
	if err := os.Remove(n.Socket()); err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	listener, err := net.Listen("unix", n.Socket())
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	podresources.RegisterPodResourcesListerServer(server, lister{n.Kubelet, v})
	go func() { _ = server.Serve(listener) }() // it ends by Stop
	t.Cleanup(server.Stop)
	x.killedEverywhere(t, v, x.wave)
	count(t, "exporter: killed %d times at calls of the kubelet, at %d of %d points, %d restarts, %d pods", v.points.Kills(), v.points.Points(), 2*v.points.Sorts(), v.restarts.Load(), x.pods)
}
