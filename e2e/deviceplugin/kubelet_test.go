package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	api "k8s.io/kubelet/pkg/apis/deviceplugin/v1beta1"

	"heteroaccel.io/e2e/poll"
)

// fakeKubelet registers plugins and follows their lists, as a kubelet's device
// manager does: it empties the directory when it starts, and calls a plugin
// back before it answers a registration.
type fakeKubelet struct {
	api.UnimplementedRegistrationServer
	dir    string
	server *grpc.Server
	stop   context.CancelFunc
	ctx    context.Context

	mu            sync.Mutex
	registrations map[string]int
	lists         map[string]map[string]string // resource → id → health
	numa          map[string]string            // id → NUMA node, where one was told
}

// startKubelet starts a kubelet in dir, and stops it with the test.
func startKubelet(t *testing.T, dir string) *fakeKubelet {
	t.Helper()
	old, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range old {
		// A plugin that ends removes its own socket meanwhile.
		if err := os.Remove(filepath.Join(dir, file.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
	}
	listener, err := net.Listen("unix", filepath.Join(dir, "kubelet.sock"))
	if err != nil {
		t.Fatal(err)
	}
	// As a kubelet that is killed leaves it.
	listener.(*net.UnixListener).SetUnlinkOnClose(false)
	k := &fakeKubelet{
		dir: dir, server: grpc.NewServer(),
		registrations: map[string]int{}, lists: map[string]map[string]string{}, numa: map[string]string{},
	}
	k.ctx, k.stop = context.WithCancel(context.Background())
	api.RegisterRegistrationServer(k.server, k)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = k.server.Serve(listener) // ends by Stop
	}()
	t.Cleanup(func() {
		k.kill()
		<-done
	})
	return k
}

// kill stops the kubelet; its socket stays.
func (k *fakeKubelet) kill() {
	k.stop()
	k.server.Stop()
}

// dial connects to the plugin of a resource.
func (k *fakeKubelet) dial(endpoint string) (*grpc.ClientConn, api.DevicePluginClient, error) {
	conn, err := grpc.NewClient("unix:"+filepath.Join(k.dir, endpoint), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return nil, nil, err
	}
	return conn, api.NewDevicePluginClient(conn), nil
}

func (k *fakeKubelet) Register(ctx context.Context, r *api.RegisterRequest) (*api.Empty, error) {
	if r.Version != api.Version {
		return nil, fmt.Errorf("version %q is not supported", r.Version)
	}
	conn, client, err := k.dial(r.Endpoint)
	if err != nil {
		return nil, err
	}
	if _, err := client.GetDevicePluginOptions(ctx, &api.Empty{}); err != nil {
		conn.Close()
		return nil, err
	}
	stream, err := client.ListAndWatch(k.ctx, &api.Empty{})
	if err != nil {
		conn.Close()
		return nil, err
	}
	k.mu.Lock()
	k.registrations[r.ResourceName]++
	k.mu.Unlock()
	go k.follow(conn, stream, r.ResourceName)
	return &api.Empty{}, nil
}

func (k *fakeKubelet) follow(conn *grpc.ClientConn, stream api.DevicePlugin_ListAndWatchClient, resource string) {
	defer conn.Close()
	for {
		list, err := stream.Recv()
		now := map[string]string{}
		for _, d := range list.GetDevices() {
			now[d.ID] = d.Health
		}
		k.mu.Lock()
		if err != nil { // as a kubelet does, which marks all devices unhealthy
			for id := range k.lists[resource] {
				now[id] = api.Unhealthy
			}
		}
		k.lists[resource] = now
		for _, d := range list.GetDevices() {
			if d.Topology != nil {
				k.numa[d.ID] = fmt.Sprint(d.Topology.Nodes[0].ID)
			}
		}
		k.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// allocate asks a plugin for devices.
func (k *fakeKubelet) allocate(t *testing.T, resource string, ids ...string) (*api.ContainerAllocateResponse, error) {
	t.Helper()
	conn, client, err := k.dial(strings.ReplaceAll(resource, "/", "_") + ".sock")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	answer, err := client.Allocate(t.Context(), &api.AllocateRequest{
		ContainerRequests: []*api.ContainerAllocateRequest{{DevicesIds: ids}},
	})
	if err != nil {
		return nil, err
	}
	return answer.ContainerResponses[0], nil
}

// wants waits until the kubelet knows exactly these devices: resource → id →
// health.
func (k *fakeKubelet) wants(t *testing.T, when string, want map[string]map[string]string) {
	t.Helper()
	diff := ""
	eventually(t, when, func() string {
		k.mu.Lock()
		defer k.mu.Unlock()
		diff = cmp.Diff(want, k.lists)
		return diff
	})
}

// registered waits until every resource has registered so often.
func (k *fakeKubelet) registered(t *testing.T, when string, want map[string]int) {
	t.Helper()
	eventually(t, when, func() string {
		k.mu.Lock()
		defer k.mu.Unlock()
		return cmp.Diff(want, k.registrations)
	})
}

func (k *fakeKubelet) topology() map[string]string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return maps.Clone(k.numa)
}

// eventually waits until problem returns "".
func eventually(t *testing.T, what string, problem func() string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	err := poll.Until(ctx, func(context.Context) error {
		if p := problem(); p != "" {
			return errors.New(p)
		}
		return nil
	})
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}
