package main

import (
	"context"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	api "k8s.io/kubelet/pkg/apis/deviceplugin/v1beta1"
)

// devicesVariable names the environment variable in which a container finds the
// ids of the devices it was given, with commas between.
const devicesVariable = "ACCELERATOR_DEVICES"

// plugin serves one resource to the kubelet.
type plugin struct {
	api.UnimplementedDevicePluginServer
	resource string
	dir      string
	// exists tells whether a file below /dev is there on the node.
	exists func(file string) bool
	// forget is how long a device that is gone is listed as unhealthy.
	forget time.Duration
	log    zerolog.Logger

	mu      sync.Mutex
	devices []device
	gone    map[string]time.Time // since when, by id
	changed chan struct{}        // closed when devices change
}

func newPlugin(resource string, o options, log zerolog.Logger) *plugin {
	return &plugin{
		resource: resource, dir: o.dir, exists: o.exists, forget: o.forget,
		log:  log.With().Str("resource", resource).Logger(),
		gone: map[string]time.Time{}, changed: make(chan struct{}),
	}
}

// Update says which devices there are at a time. One that was there before and
// is not any more is unhealthy for a while, as a pod may still hold it, and
// then is dropped.
func (p *plugin) Update(now []device, at time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	next := slices.Clone(now)
	there := map[string]bool{}
	for _, d := range now {
		there[d.id] = true
		delete(p.gone, d.id)
	}
	for _, d := range p.devices {
		if there[d.id] {
			continue
		}
		since, known := p.gone[d.id]
		if !known {
			since = at
			p.gone[d.id] = at
		}
		if at.Sub(since) >= p.forget {
			delete(p.gone, d.id)
			p.log.Info().Str("id", d.id).Msg("dropped")
			continue
		}
		d.healthy = false
		next = append(next, d)
	}
	slices.SortFunc(next, func(x, y device) int { return strings.Compare(x.id, y.id) })
	if reflect.DeepEqual(next, p.devices) {
		return
	}
	p.tell(next)
	p.devices = next
	close(p.changed)
	p.changed = make(chan struct{})
}

// tell logs what is about to change. The caller holds the lock.
func (p *plugin) tell(next []device) {
	before := map[string]device{}
	for _, d := range p.devices {
		before[d.id] = d
	}
	for _, d := range next {
		if old, known := before[d.id]; !known || old.healthy != d.healthy {
			p.log.Info().Str("id", d.id).Str("health", d.health()).Msg("health")
		}
	}
}

// current are the devices, and what is closed when they change.
func (p *plugin) current() ([]device, <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.devices, p.changed
}

func (d device) health() string {
	if d.healthy {
		return api.Healthy
	}
	return api.Unhealthy
}

// topology is nil for a device that is attached to no NUMA node.
func (d device) topology() *api.TopologyInfo {
	if d.numa < 0 {
		return nil
	}
	return &api.TopologyInfo{Nodes: []*api.NUMANode{{ID: int64(d.numa)}}}
}

// GetDevicePluginOptions implements the plugin API: there are none.
func (p *plugin) GetDevicePluginOptions(context.Context, *api.Empty) (*api.DevicePluginOptions, error) {
	return &api.DevicePluginOptions{}, nil
}

// ListAndWatch implements the plugin API: the devices, and again whenever they
// change.
func (p *plugin) ListAndWatch(_ *api.Empty, stream api.DevicePlugin_ListAndWatchServer) error {
	for {
		devices, changed := p.current()
		answer := &api.ListAndWatchResponse{}
		for _, d := range devices {
			answer.Devices = append(answer.Devices, &api.Device{ID: d.id, Health: d.health(), Topology: d.topology()})
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

// Allocate implements the plugin API: a container gets the device files that
// there are, and the ids in its environment. An id that is not known, or whose
// device is not well, is refused, which fails the pod's admission at the
// kubelet.
func (p *plugin) Allocate(_ context.Context, request *api.AllocateRequest) (*api.AllocateResponse, error) {
	answer := &api.AllocateResponse{}
	for _, r := range request.GetContainerRequests() {
		one, err := p.allocate(r.GetDevicesIds())
		if err != nil {
			p.log.Warn().Strs("ids", r.GetDevicesIds()).Err(err).Msg("not allocated")
			return nil, err
		}
		answer.ContainerResponses = append(answer.ContainerResponses, one)
	}
	for _, r := range request.GetContainerRequests() {
		p.log.Info().Strs("ids", r.GetDevicesIds()).Msg("allocated")
	}
	return answer, nil
}

// allocate is Allocate for one container. Two slots of a device bring its files
// once.
func (p *plugin) allocate(ids []string) (*api.ContainerAllocateResponse, error) {
	devices, _ := p.current()
	out := &api.ContainerAllocateResponse{Envs: map[string]string{devicesVariable: strings.Join(ids, ",")}}
	given := map[string]bool{}
	for _, id := range ids {
		i := slices.IndexFunc(devices, func(d device) bool { return d.id == id })
		if i < 0 {
			return nil, status.Errorf(codes.NotFound, "there is no device %s of %s", id, p.resource)
		}
		if !devices[i].healthy {
			return nil, status.Errorf(codes.FailedPrecondition, "device %s of %s is unhealthy", id, p.resource)
		}
		for _, file := range devices[i].files {
			if !given[file] && p.exists(file) {
				given[file] = true
				out.Devices = append(out.Devices, &api.DeviceSpec{HostPath: file, ContainerPath: file, Permissions: "rw"})
			}
		}
	}
	return out, nil
}
