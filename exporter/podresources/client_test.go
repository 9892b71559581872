package podresources

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	api "k8s.io/kubelet/pkg/apis/podresources/v1"
)

// kubelet answers like a kubelet.
type kubelet struct {
	api.UnimplementedPodResourcesListerServer
	wait        bool // until the client gives up
	allocatable []*api.ContainerDevices
	pods        []*api.PodResources
}

func (k *kubelet) GetAllocatableResources(ctx context.Context, _ *api.AllocatableResourcesRequest) (*api.AllocatableResourcesResponse, error) {
	if k.wait {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return &api.AllocatableResourcesResponse{Devices: k.allocatable}, nil
}

func (k *kubelet) List(context.Context, *api.ListPodResourcesRequest) (*api.ListPodResourcesResponse, error) {
	return &api.ListPodResourcesResponse{PodResources: k.pods}, nil
}

// start serves on a socket until the returned function is called.
func start(t *testing.T, path string, k api.PodResourcesListerServer) (stop func()) {
	t.Helper()
	ln, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	api.RegisterPodResourcesListerServer(server, k)
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = server.Serve(ln)
	}()
	stop = func() {
		server.Stop()
		<-served // one that was stopped before it served closes the socket only then
	}
	t.Cleanup(stop)
	return stop
}

func client(t *testing.T, path string) *Client {
	t.Helper()
	c, err := New(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func ask(t *testing.T, c *Client, timeout time.Duration) (Answer, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	return c.Ask(ctx)
}

func devices(resource string, ids ...string) *api.ContainerDevices {
	return &api.ContainerDevices{ResourceName: resource, DeviceIds: ids}
}

func TestAsk(t *testing.T) {
	path := filepath.Join(t.TempDir(), "kubelet.sock")
	start(t, path, &kubelet{
		// A device that touches two NUMA nodes is listed for each.
		allocatable: []*api.ContainerDevices{devices("a.com/gpu", "card0-0", "card0-1"), devices("a.com/gpu", "card0-0")},
		pods: []*api.PodResources{
			{Namespace: "ns", Name: "p", Containers: []*api.ContainerResources{
				{Name: "first", Devices: []*api.ContainerDevices{devices("a.com/gpu", "card0-0")}},
				{Name: "second", Devices: []*api.ContainerDevices{devices("a.com/gpu", "card0-0")}},
			}},
			{Namespace: "ns", Name: "without"},
		},
	})
	got, err := ask(t, client(t, path), 10*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	want := Answer{
		Allocatable: map[Slot]bool{{"a.com/gpu", "card0-0"}: true, {"a.com/gpu", "card0-1"}: true},
		Held:        map[Slot]Holder{{"a.com/gpu", "card0-0"}: {"ns", "p", "second"}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestAskAfterTheKubeletRestarts(t *testing.T) {
	path := filepath.Join(t.TempDir(), "kubelet.sock")
	c := client(t, path)
	for range 3 {
		if _, err := ask(t, c, time.Second); !errors.Is(err, ErrNoSocket) {
			t.Fatalf("without a socket: %v", err)
		}
		stop := start(t, path, &kubelet{})
		if _, err := ask(t, c, 10*time.Second); err != nil {
			t.Fatalf("with a kubelet: %v", err)
		}
		stop()
	}
}

func TestAskASlowKubelet(t *testing.T) {
	path := filepath.Join(t.TempDir(), "kubelet.sock")
	start(t, path, &kubelet{wait: true})
	if _, err := ask(t, client(t, path), 50*time.Millisecond); !errors.Is(err, ErrSlow) {
		t.Errorf("error %v, want ErrSlow", err)
	}
}

// The socket of a kubelet that was killed.
func TestAskASocketWithNobodyBehind(t *testing.T) {
	path := filepath.Join(t.TempDir(), "kubelet.sock")
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	ln.SetUnlinkOnClose(false)
	_ = ln.Close()
	if _, err := os.Stat(path); err != nil {
		t.Fatal(err)
	}
	if _, err := ask(t, client(t, path), 200*time.Millisecond); !errors.Is(err, ErrSlow) {
		t.Errorf("error %v, want ErrSlow", err)
	}
}

func TestAskAKubeletWithoutTheAPI(t *testing.T) {
	path := filepath.Join(t.TempDir(), "kubelet.sock")
	start(t, path, &api.UnimplementedPodResourcesListerServer{})
	_, err := ask(t, client(t, path), 10*time.Second)
	if err == nil || errors.Is(err, ErrSlow) || !strings.Contains(err.Error(), "Unimplemented") {
		t.Errorf("error %v", err)
	}
}

// 4 MiB is gRPC's own limit; the kubelet of a large node sends more.
func TestAskForALargeAnswer(t *testing.T) {
	path := filepath.Join(t.TempDir(), "kubelet.sock")
	k := &kubelet{}
	for i := range 60_000 {
		k.allocatable = append(k.allocatable, devices("example.com/a-resource-with-quite-a-long-name", fmt.Sprintf("%060d", i)))
	}
	start(t, path, k)
	got, err := ask(t, client(t, path), 20*time.Second)
	if err != nil || len(got.Allocatable) != 60_000 {
		t.Errorf("%d slots, %v", len(got.Allocatable), err)
	}
}
