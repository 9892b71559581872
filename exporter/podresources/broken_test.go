package podresources

import (
	"context"
	"errors"
	"net"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	api "k8s.io/kubelet/pkg/apis/podresources/v1"
)

// large answers with about this many bytes.
func large(bytes int) *kubelet {
	const name = 1000
	k := &kubelet{}
	for range bytes / name {
		k.allocatable = append(k.allocatable, devices("example.com/gpu", strings.Repeat("x", name)))
	}
	return k
}

// serve is start with a given listener.
func serve(t *testing.T, ln net.Listener, k api.PodResourcesListerServer) (stop func()) {
	t.Helper()
	server := grpc.NewServer()
	api.RegisterPodResourcesListerServer(server, k)
	go func() { _ = server.Serve(ln) }()
	t.Cleanup(server.Stop)
	return server.Stop
}

func listen(t *testing.T, path string) net.Listener {
	t.Helper()
	ln, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	return ln
}

// The claims that a kubelet with DRA drivers lists.
func TestAskForClaims(t *testing.T) {
	path := filepath.Join(t.TempDir(), "kubelet.sock")
	resource := func(driver, pool, device string, cdi ...string) *api.ClaimResource {
		r := &api.ClaimResource{DriverName: driver, PoolName: pool, DeviceName: device}
		for _, name := range cdi {
			r.CdiDevices = append(r.CdiDevices, &api.CDIDevice{Name: name})
		}
		return r
	}
	start(t, path, &kubelet{pods: []*api.PodResources{
		{Namespace: "ns", Name: "p", Containers: []*api.ContainerResources{
			{Name: "first", DynamicResources: []*api.DynamicResource{
				{ClaimName: "one", ClaimNamespace: "ns", ClaimResources: []*api.ClaimResource{
					resource("gpu.intel.com", "node-1", "0000-03-00-0-0x56a0", "intel.com/gpu=0000-03-00-0-0x56a0"),
					resource("gpu.intel.com", "node-1", ""), // of a kind that has no device
				}},
				{ClaimName: "nothing yet", ClaimNamespace: "ns"},
			}},
			{Name: "second", DynamicResources: []*api.DynamicResource{
				{ClaimName: "one", ClaimNamespace: "ns", ClaimResources: []*api.ClaimResource{resource("gpu.intel.com", "node-1", "0000-03-00-0-0x56a0")}},
			}},
		}},
	}})
	got, err := ask(t, client(t, path), 10*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	want := []Claim{
		{Holder{"ns", "p", "first"}, "one", "gpu.intel.com", "node-1", "0000-03-00-0-0x56a0", []string{"intel.com/gpu=0000-03-00-0-0x56a0"}},
		{Holder{"ns", "p", "second"}, "one", "gpu.intel.com", "node-1", "0000-03-00-0-0x56a0", nil},
	}
	if diff := cmp.Diff(want, got.Claims); diff != "" || len(got.Held) > 0 {
		t.Errorf("held %v, claims (-want +got)\n%s", got.Held, diff)
	}
}

// A kubelet lists a pod until it has cleaned up: until then the pod holds the
// device.
func TestAskWhileAPodEnds(t *testing.T) {
	path := filepath.Join(t.TempDir(), "kubelet.sock")
	pod := func(name string, ids ...string) *api.PodResources {
		return &api.PodResources{Namespace: "ns", Name: name, Containers: []*api.ContainerResources{{Name: "c", Devices: []*api.ContainerDevices{devices("a.com/gpu", ids...)}}}}
	}
	start(t, path, &kubelet{
		allocatable: []*api.ContainerDevices{devices("a.com/gpu", "card0-0", "card1-0")},
		pods:        []*api.PodResources{pod("ended", "card0-0"), pod("next", "card1-0")},
	})
	got, err := ask(t, client(t, path), 10*time.Second)
	want := map[Slot]Holder{{"a.com/gpu", "card0-0"}: {"ns", "ended", "c"}, {"a.com/gpu", "card1-0"}: {"ns", "next", "c"}}
	if diff := cmp.Diff(want, got.Held); diff != "" || err != nil {
		t.Errorf("%v (-want +got)\n%s", err, diff)
	}
}

// An answer that is too large is an error, and not an answer without devices.
func TestAskForAnAnswerThatIsTooLarge(t *testing.T) {
	path := filepath.Join(t.TempDir(), "kubelet.sock")
	c := client(t, path)
	stop := start(t, path, large(20<<20))
	if got, err := ask(t, c, 30*time.Second); err == nil || !strings.Contains(err.Error(), "ResourceExhausted") || got.Allocatable != nil {
		t.Errorf("%d slots, error %v", len(got.Allocatable), err)
	}
	stop()
	start(t, path, large(1<<20))
	if _, err := ask(t, c, 30*time.Second); err != nil {
		t.Errorf("a smaller answer after it: %v", err)
	}
}

// Something listens on the socket and never answers.
func TestAskSomethingThatIsNoKubelet(t *testing.T) {
	path := filepath.Join(t.TempDir(), "kubelet.sock")
	ln := listen(t, path)
	var accepted sync.WaitGroup
	accepted.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			defer conn.Close()
		}
	})
	t.Cleanup(accepted.Wait)
	t.Cleanup(func() { _ = ln.Close() })
	if _, err := ask(t, client(t, path), 200*time.Millisecond); !errors.Is(err, ErrSlow) {
		t.Errorf("error %v, want ErrSlow", err)
	}
}

// slowList answers one request and hangs at the other.
type slowList struct{ kubelet }

func (*slowList) List(ctx context.Context, _ *api.ListPodResourcesRequest) (*api.ListPodResourcesResponse, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

func TestAskAKubeletThatHangsHalfWay(t *testing.T) {
	path := filepath.Join(t.TempDir(), "kubelet.sock")
	start(t, path, &slowList{kubelet{allocatable: []*api.ContainerDevices{devices("a.com/gpu", "card0-0")}}})
	got, err := ask(t, client(t, path), 200*time.Millisecond)
	if !errors.Is(err, ErrSlow) || got.Allocatable != nil {
		t.Errorf("%+v, error %v, want ErrSlow and nothing beside it", got, err)
	}
}

// cutting is a listener whose connections break after sending some bytes.
type cutting struct {
	net.Listener
	left *atomic.Int64
}

func (c cutting) Accept() (net.Conn, error) {
	conn, err := c.Listener.Accept()
	return cut{conn, c.left}, err
}

type cut struct {
	net.Conn
	left *atomic.Int64
}

func (c cut) Write(b []byte) (int, error) {
	if c.left.Add(-int64(len(b))) < 0 {
		_ = c.Close()
		return 0, net.ErrClosed
	}
	return c.Conn.Write(b)
}

func TestAskAKubeletThatDiesInTheMiddleOfItsAnswer(t *testing.T) {
	path := filepath.Join(t.TempDir(), "kubelet.sock")
	var left atomic.Int64
	left.Store(100_000)
	serve(t, cutting{listen(t, path), &left}, large(1<<20))
	c := client(t, path)
	if got, err := ask(t, c, time.Second); err == nil || got.Allocatable != nil {
		t.Errorf("%d slots, error %v", len(got.Allocatable), err)
	}
	left.Store(1 << 40)
	if _, err := ask(t, c, 30*time.Second); err != nil {
		t.Errorf("the next answer: %v", err)
	}
}

// Many concurrent scrapes while the kubelet restarts repeatedly: each has the
// whole answer or fails.
func TestAskFromManySidesWhileTheKubeletRestarts(t *testing.T) {
	path := filepath.Join(t.TempDir(), "kubelet.sock")
	c := client(t, path)
	k := &kubelet{allocatable: []*api.ContainerDevices{devices("a.com/gpu", "card0-0", "card1-0")}}
	ctx, cancel := context.WithCancel(t.Context())
	var askers sync.WaitGroup
	var answered atomic.Int64
	for range 4 {
		askers.Go(func() {
			for ctx.Err() == nil {
				limited, cancel := context.WithTimeout(ctx, time.Second)
				got, err := c.Ask(limited)
				cancel()
				if err == nil {
					answered.Add(1)
				}
				if (err == nil) != (len(got.Allocatable) == 2) {
					t.Errorf("%d slots, error %v", len(got.Allocatable), err)
				}
			}
		})
	}
	for range 5 {
		stop := start(t, path, k)
		before := answered.Load()
		for deadline := time.Now().Add(20 * time.Second); answered.Load() == before; {
			if time.Now().After(deadline) {
				t.Fatal("nobody is answered after a restart")
			}
			runtime.Gosched()
		}
		stop()
	}
	cancel()
	askers.Wait()
}
