package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"
	"github.com/rs/zerolog"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	api "k8s.io/kubelet/pkg/apis/deviceplugin/v1beta1"
)

// devicesVariable names the environment variable in which a container finds the
// ids of the devices it was given.
const devicesVariable = "ACCELERATOR_DEVICES"

// plugin serves one resource to the kubelet.
type plugin struct {
	api.UnimplementedDevicePluginServer
	resource string
	dir      string
	log      zerolog.Logger

	mu      sync.Mutex
	devices []device
	changed chan struct{} // closed when devices change
}

func newPlugin(resource, dir string, log zerolog.Logger) *plugin {
	return &plugin{resource: resource, dir: dir, log: log, changed: make(chan struct{})}
}

// socket is the plugin's own.
func (p *plugin) socket() string {
	return filepath.Join(p.dir, strings.NewReplacer("/", "_").Replace(p.resource)+".sock")
}

// Update says which devices there are now. One that was there before and is
// not any more is kept as unhealthy: a pod may still hold it.
func (p *plugin) Update(now []device) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var next []device
	seen := map[string]bool{}
	for _, d := range now {
		seen[d.id] = true
		next = append(next, d)
	}
	for _, d := range p.devices {
		if !seen[d.id] {
			d.healthy = false
			next = append(next, d)
		}
	}
	if reflect.DeepEqual(next, p.devices) {
		return
	}
	p.devices = next
	close(p.changed)
	p.changed = make(chan struct{})
	var state []string
	for _, d := range next {
		state = append(state, fmt.Sprintf("%s healthy=%t", d.id, d.healthy))
	}
	p.log.Info().Strs("devices", state).Msg("devices changed")
}

// current are the devices, and what is closed when they change.
func (p *plugin) current() ([]device, <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.devices, p.changed
}

// Run serves the resource, once there is a device of it, until ctx ends. The
// kubelet empties its directory when it starts: then the plugin serves and
// registers anew.
func (p *plugin) Run(ctx context.Context) error {
	for {
		devices, changed := p.current()
		if len(devices) > 0 {
			break
		}
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		}
	}
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		return fmt.Errorf("watch %s: %w", p.dir, err)
	}
	defer watcher.Close()
	if err := watcher.Add(p.dir); err != nil {
		return fmt.Errorf("watch %s: %w", p.dir, err)
	}
	for ctx.Err() == nil {
		if err := p.session(ctx, watcher); err != nil {
			p.log.Warn().Err(err).Msg("not served")
			select {
			case <-ctx.Done():
			case <-time.After(time.Second): // the kubelet may be about to start
			}
		}
	}
	return nil
}

// session serves and registers, and returns when the kubelet has started anew,
// which is when its socket or ours is another.
func (p *plugin) session(ctx context.Context, watcher *fsnotify.Watcher) error {
	if err := os.Remove(p.socket()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove the socket of a run before: %w", err)
	}
	listener, err := net.Listen("unix", p.socket())
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	server := grpc.NewServer()
	api.RegisterDevicePluginServer(server, p)
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	defer func() {
		server.Stop()
		<-served
	}()
	kubelet := filepath.Join(p.dir, filepath.Base(api.KubeletSocket))
	before, err := os.Stat(kubelet)
	if err != nil {
		return fmt.Errorf("the kubelet is not there yet: %w", err)
	}
	if err := p.register(ctx, kubelet); err != nil {
		return err
	}
	p.log.Info().Msg("registered")
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-served:
			served <- err
			return fmt.Errorf("serve: %w", err)
		case err := <-watcher.Errors:
			return fmt.Errorf("watch %s: %w", p.dir, err)
		case event := <-watcher.Events:
			if event.Name != kubelet && event.Name != p.socket() {
				continue
			}
			now, err := os.Stat(kubelet)
			_, own := os.Stat(p.socket())
			if err != nil || own != nil || !os.SameFile(before, now) {
				return nil
			}
		}
	}
}

// register tells the kubelet of the plugin.
func (p *plugin) register(ctx context.Context, kubelet string) error {
	conn, err := grpc.NewClient("unix://"+kubelet, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return fmt.Errorf("register: %w", err)
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	_, err = api.NewRegistrationClient(conn).Register(ctx, &api.RegisterRequest{
		Version: api.Version, Endpoint: filepath.Base(p.socket()), ResourceName: p.resource,
		Options: &api.DevicePluginOptions{},
	})
	if err != nil {
		return fmt.Errorf("register: %w", err)
	}
	return nil
}

// GetDevicePluginOptions implements the plugin API: there are none.
func (p *plugin) GetDevicePluginOptions(context.Context, *api.Empty) (*api.DevicePluginOptions, error) {
	return &api.DevicePluginOptions{}, nil
}

// ListAndWatch implements the plugin API.
func (p *plugin) ListAndWatch(_ *api.Empty, stream api.DevicePlugin_ListAndWatchServer) error {
	for {
		devices, changed := p.current()
		answer := &api.ListAndWatchResponse{}
		for _, d := range devices {
			one := &api.Device{ID: d.id, Health: api.Unhealthy}
			if d.healthy {
				one.Health = api.Healthy
			}
			if d.numa >= 0 {
				one.Topology = &api.TopologyInfo{Nodes: []*api.NUMANode{{ID: int64(d.numa)}}}
			}
			answer.Devices = append(answer.Devices, one)
		}
		if err := stream.Send(answer); err != nil {
			return err
		}
		select {
		case <-stream.Context().Done():
			return nil
		case <-changed:
		}
	}
}

// Allocate implements the plugin API: a container gets the device files, and
// the ids in its environment.
func (p *plugin) Allocate(_ context.Context, request *api.AllocateRequest) (*api.AllocateResponse, error) {
	devices, _ := p.current()
	byID := map[string]device{}
	for _, d := range devices {
		byID[d.id] = d
	}
	answer := &api.AllocateResponse{}
	for _, r := range request.GetContainerRequests() {
		one := &api.ContainerAllocateResponse{Envs: map[string]string{devicesVariable: strings.Join(r.GetDevicesIds(), ",")}}
		for _, id := range r.GetDevicesIds() {
			d, ok := byID[id]
			if !ok {
				return nil, status.Errorf(codes.NotFound, "there is no device %s of %s", id, p.resource)
			}
			for _, file := range d.files {
				one.Devices = append(one.Devices, &api.DeviceSpec{HostPath: file, ContainerPath: file, Permissions: "rw"})
			}
		}
		answer.ContainerResponses = append(answer.ContainerResponses, one)
		p.log.Info().Strs("ids", r.GetDevicesIds()).Msg("allocated")
	}
	return answer, nil
}
