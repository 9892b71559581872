// Package collector reads the whole node at each scrape and exposes it as
// Prometheus metrics.
//
// Mount points, and a function that asks the kubelet, enter; the metrics of the
// telemetry contract leave. A part that fails or hangs is reported as a failed
// collector, never as an idle device. It keeps nothing for the next scrape but
// counters of work done.
package collector

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	"golang.org/x/sync/singleflight"

	"heteroaccel.io/exporter/allocation"
	"heteroaccel.io/exporter/discovery"
	"heteroaccel.io/exporter/externaluse"
	"heteroaccel.io/exporter/podresources"
	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/telemetry"
	"heteroaccel.io/pkg/telemetry/exposition"
)

// Config is what a Collector reads, and for how long.
type Config struct {
	// Node is the Kubernetes node's name.
	Node string
	// Sys and Proc are the mount points of sysfs and procfs.
	Sys, Proc string
	// ExternalUse is set to look for processes outside Kubernetes that use a
	// device.
	ExternalUse bool
	// Timeout bounds a scrape. It must be shorter than Prometheus' own.
	Timeout time.Duration
	// Driven returns the devices that the exporter serves as DRA driver; nil where
	// it serves none.
	Driven func() map[accel.DeviceKey]allocation.Driven
}

// Kubelet asks the kubelet what it can allocate, and which containers hold it.
type Kubelet func(context.Context) (podresources.Answer, error)

// Collector is a prometheus.Collector of the node. It is safe for concurrent
// use: concurrent scrapes share one read.
type Collector struct {
	config  Config
	kubelet Kubelet
	log     zerolog.Logger

	scrapes singleflight.Group
	reads   singleflight.Group
	probes  singleflight.Group
	meter   meter
	loads   loads

	mu     sync.Mutex
	failed map[string]bool            // by name, parts whose last read failed
	faults map[accel.DeviceKey]string // last known fault of each device
}

// New returns a collector; it reads nothing until it is scraped.
func New(config Config, kubelet Kubelet, log zerolog.Logger) *Collector {
	return &Collector{config: config, kubelet: kubelet, log: log, failed: map[string]bool{}, faults: map[accel.DeviceKey]string{}}
}

// Describe implements prometheus.Collector.
func (c *Collector) Describe(ch chan<- *prometheus.Desc) { exposition.Describe(ch) }

// Collect implements prometheus.Collector.
func (c *Collector) Collect(ch chan<- prometheus.Metric) { exposition.Collect(ch, c.Scrape()) }

// Scrape reads the node. It takes no longer than the configured timeout.
func (c *Collector) Scrape() telemetry.Scrape {
	v, _, _ := c.scrapes.Do("", func() (any, error) { return c.scrape(c.Read()), nil })
	return v.(telemetry.Scrape)
}

// Reading is what one read of the node found.
type Reading struct {
	// Machine is what the kernel shows.
	Machine allocation.Machine
	// Kubelet is its answer, nil where it could not be asked.
	Kubelet *podresources.Answer
	// Used are the commands of processes outside Kubernetes, by the device file that
	// they use.
	Used map[string]string

	cpu        discovery.CPU
	cpuRead    bool
	collectors []telemetry.Collector
}

// Read reads the node for somebody who does not want its metrics. It takes no longer
// than the configured timeout.
func (c *Collector) Read() Reading {
	v, _, _ := c.reads.Do("", func() (any, error) { return c.read(), nil })
	return v.(Reading)
}

// scans are the searches for devices, by the name of their collector. A device
// that several find is described by the first.
var scans = []struct {
	name string
	find func(discovery.Mounts) ([]discovery.Device, error)
}{
	{"fpga", discovery.FPGAs},
	{"gpu", discovery.GPUs},
	{"npu", discovery.NPUs},
	{"stick", discovery.Sticks},
	{"pci", discovery.PCI},
}

// read reads all parts at the same time.
func (c *Collector) read() Reading {
	ctx, cancel := context.WithTimeout(context.Background(), c.config.Timeout)
	defer cancel()
	var (
		wg       sync.WaitGroup
		out      Reading
		machine  []telemetry.Collector
		cpuState telemetry.Collector
		answer   podresources.Answer
		kubelet  telemetry.Collector
	)
	wg.Go(func() {
		seen := &out.Machine
		seen.Devices, machine = c.scan(ctx)
		seen.Complete = !slices.ContainsFunc(machine, func(s telemetry.Collector) bool { return !s.OK })
		var err error
		if seen.Present, err = discovery.Present(c.mounts()); err != nil {
			seen.Complete = false // although the scans could read their directories
		}
		if c.config.ExternalUse {
			var state telemetry.Collector
			out.Used, state = probe(ctx, c, "external_use", func(context.Context) (map[string]string, error) {
				return externaluse.Users(c.config.Proc, files(seen.Devices))
			})
			machine = append(machine, state)
		}
	})
	wg.Go(func() {
		out.cpu, cpuState = probe(ctx, c, "cpu", func(context.Context) (discovery.CPU, error) {
			return discovery.ReadCPU(c.config.Proc)
		})
	})
	wg.Go(func() {
		answer, kubelet = probe(ctx, c, "podresources", func(ctx context.Context) (podresources.Answer, error) {
			return c.kubelet(ctx)
		})
	})
	wg.Wait()

	if kubelet.OK {
		out.Kubelet = &answer
	}
	out.cpuRead, out.collectors = cpuState.OK, append(machine, cpuState, kubelet)
	c.noteFaults(out.Machine.Devices, out.Machine.Complete)
	return out
}

// scrape joins what was read, and measures how busy devices were since the last time.
func (c *Collector) scrape(r Reading) telemetry.Scrape {
	machine := r.Machine
	if c.config.Driven != nil {
		machine.Driven = c.config.Driven()
	}
	out := telemetry.Scrape{Node: c.config.Node, Collectors: r.collectors}
	out.Devices = allocation.Merge(machine, r.Kubelet, r.Used)
	c.loads.measure(time.Now(), machine.Devices, out.Devices)
	if r.cpuRead {
		out.CPUCores, out.CPUBusy = r.cpu.Cores, c.meter.busy(r.cpu)
	}
	return out
}

// scan searches for devices of all kinds at the same time.
func (c *Collector) scan(ctx context.Context) ([]discovery.Device, []telemetry.Collector) {
	found := make([][]discovery.Device, len(scans))
	states := make([]telemetry.Collector, len(scans))
	var wg sync.WaitGroup
	for i, s := range scans {
		wg.Go(func() {
			found[i], states[i] = probe(ctx, c, s.name, func(context.Context) ([]discovery.Device, error) {
				return s.find(c.mounts())
			})
		})
	}
	wg.Wait()
	var all []discovery.Device
	for _, f := range found {
		all = append(all, f...)
	}
	return discovery.Merge(all), states
}

func (c *Collector) mounts() discovery.Mounts {
	return discovery.Mounts{Sys: c.config.Sys, Proc: c.config.Proc}
}

// files are the device files of all the devices.
func files(devices []discovery.Device) []string {
	var out []string
	for _, d := range devices {
		out = append(out, d.Files...)
	}
	return out
}
