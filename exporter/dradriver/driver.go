package dradriver

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"
	"google.golang.org/grpc"
	resourceapi "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/dynamic-resource-allocation/kubeletplugin"
	lib "k8s.io/dynamic-resource-allocation/resourceslice"
	registration "k8s.io/kubelet/pkg/apis/pluginregistration/v1"

	"heteroaccel.io/exporter/allocation"
	"heteroaccel.io/exporter/cdi"
	"heteroaccel.io/exporter/collector"
	"heteroaccel.io/exporter/resourceslice"
	"heteroaccel.io/pkg/accel"
)

// Config is what a Driver serves, and where.
type Config struct {
	// Node is the Kubernetes node's name, and that of its pool.
	Node string
	// PodUID is that of the pod it runs in, with which two instances can serve a
	// node at once; "" where there is only one.
	PodUID types.UID
	// Kinds are those it serves.
	Kinds []accel.Kind
	// Slots is how many claims may share each device of a kind; 1 for one that is
	// not there.
	Slots map[accel.Kind]int
	// RuntimeHasCDI is set where somebody knows that the container runtime has CDI
	// switched on, which its version does not always tell.
	RuntimeHasCDI bool
	// RegistryDir is where the kubelet looks for plugins, DataDir what this driver
	// keeps its sockets in. The kubelet must see both at the same paths.
	RegistryDir, DataDir string
	// CDIDir is a directory in which the container runtime looks for CDI files.
	CDIDir string
	// Sys, Proc and Dev are where the host's sysfs, procfs and /dev are mounted.
	Sys, Proc, Dev string
	// Refresh is the time between two readings of the node.
	Refresh time.Duration
}

// Driver is the DRA driver of one node.
type Driver struct {
	config Config
	client kubernetes.Interface
	files  *cdi.Directory
	log    zerolog.Logger
	read   func() collector.Reading

	registered atomic.Bool
	wake       chan struct{}
	fatal      chan error

	claims sync.Mutex // held while files are written or removed

	// Of the loop alone.
	roster  map[accel.Kind]*resourceslice.Roster
	node    *node
	nodeDue time.Time
	plugins map[accel.Kind]string // by the kubelet's last answer
	swept   bool

	mu    sync.Mutex
	state state
}

// state is what the loop tells others.
type state struct {
	driven   map[accel.DeviceKey]allocation.Driven
	devices  []resourceapi.Device // as published; nil before the first time
	withheld map[accel.Kind]Withheld
	lacksCDI string          // why, "" where it does not
	dropped  map[string]bool // features that the API server lacks
	counts   counts
}

// New returns a driver that reads the node by a function; it does nothing until it runs.
func New(config Config, client kubernetes.Interface, log zerolog.Logger) (*Driver, error) {
	files, err := cdi.NewDirectory(config.CDIDir)
	if err != nil {
		return nil, err
	}
	return &Driver{
		config: config, client: client, files: files, log: log,
		wake: make(chan struct{}, 1), fatal: make(chan error, 1),
		roster: map[accel.Kind]*resourceslice.Roster{},
		state:  state{dropped: map[string]bool{}},
	}, nil
}

// Driven are the devices that are published now, with their names for the kubelet.
func (d *Driver) Driven() map[accel.DeviceKey]allocation.Driven {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.state.driven
}

// Run serves the kubelet and publishes the devices until ctx ends, by what a function
// reads of the node. It needs no kubelet to publish.
func (d *Driver) Run(ctx context.Context, read func() collector.Reading) error {
	d.read = read
	for _, dir := range []string{d.config.RegistryDir, d.config.DataDir} {
		if err := os.MkdirAll(dir, 0o750); err != nil {
			return fmt.Errorf("create a directory for the kubelet's sockets: %w", err)
		}
	}
	d.removeDeadSockets()
	helper, err := kubeletplugin.Start(ctx, d,
		kubeletplugin.DriverName(accel.DeviceDriver),
		kubeletplugin.KubeClient(d.client),
		kubeletplugin.NodeName(d.config.Node),
		kubeletplugin.RegistrarDirectoryPath(d.config.RegistryDir),
		kubeletplugin.PluginDataDirectoryPath(d.config.DataDir),
		kubeletplugin.RollingUpdate(d.config.PodUID),
		kubeletplugin.GRPCInterceptor(d.noteRegistration),
	)
	if err != nil {
		return fmt.Errorf("serve the kubelet: %w", err)
	}
	defer helper.Stop()
	for {
		d.refresh(ctx, helper)
		select {
		case <-ctx.Done():
			return nil
		case err := <-d.fatal:
			return err
		case <-d.wake:
		// Nodes that start together must not ask together.
		case <-time.After(d.config.Refresh + rand.N(d.config.Refresh/8+1)):
		}
	}
}

// noteRegistration notes whether the kubelet has accepted the driver.
func (d *Driver) noteRegistration(ctx context.Context, request any, _ *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
	if status, ok := request.(*registration.RegistrationStatus); ok {
		d.registered.Store(status.GetPluginRegistered())
		if status.GetPluginRegistered() {
			d.log.Info().Msg("the kubelet has registered the driver")
		} else {
			d.log.Error().Str("error", status.GetError()).Msg("the kubelet does not register the driver")
		}
	}
	return handle(ctx, request)
}

// HandleError implements kubeletplugin.DRAPlugin. A feature that the API server lacks
// changes what is published; what else cannot be published is tried again.
func (d *Driver) HandleError(ctx context.Context, err error, message string) {
	var dropped *lib.DroppedFieldsError
	switch {
	case errors.As(err, &dropped):
		d.mu.Lock()
		for _, feature := range dropped.DisabledFeatures() {
			d.state.dropped[feature] = true
		}
		d.mu.Unlock()
		d.log.Warn().Err(err).Msg("the API server lacks a feature: what depends on it is not published")
		select {
		case d.wake <- struct{}{}:
		default: // it is about to look
		}
	case errors.Is(err, kubeletplugin.ErrRecoverable):
		if ctx.Err() != nil {
			return
		}
		d.count(func(c *counts) { c.publishFailures++ })
		d.log.Warn().Err(err).Msg(message)
	default:
		select {
		case d.fatal <- fmt.Errorf("%s: %w", message, err):
		default: // the first one ends the driver
		}
	}
}

func (d *Driver) count(change func(*counts)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	change(&d.state.counts)
}
