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

	"heteroaccel.io/e2e/machine/kubelet"
)

// lister is a kubelet at whose calls the exporter is killed, which makes no others.
type lister struct {
	*kubelet.Server
	victim *victim
}

// List implements the service.
func (l lister) List(ctx context.Context, r *podresources.ListPodResourcesRequest) (answer *podresources.ListPodResourcesResponse, err error) {
	err = l.victim.at(ctx, "List", func() (err error) { answer, err = l.Server.List(ctx, r); return err })
	return answer, err
}

// Get implements the service.
func (l lister) Get(ctx context.Context, r *podresources.GetPodResourcesRequest) (answer *podresources.GetPodResourcesResponse, err error) {
	err = l.victim.at(ctx, "Get", func() (err error) { answer, err = l.Server.Get(ctx, r); return err })
	return answer, err
}

// GetAllocatableResources implements the service.
func (l lister) GetAllocatableResources(ctx context.Context, r *podresources.AllocatableResourcesRequest) (answer *podresources.AllocatableResourcesResponse, err error) {
	err = l.victim.at(ctx, "GetAllocatableResources", func() (err error) { answer, err = l.Server.GetAllocatableResources(ctx, r); return err })
	return answer, err
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
	x.released(t)
	count(t, "exporter: killed %d times at calls of the kubelet, at %d of %d points, %d restarts, %d pods", v.points.Kills(), v.points.Points(), 2*v.points.Sorts(), v.restarts.Load(), x.pods)
}
