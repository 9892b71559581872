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
	v, _, _ := c.scrapes.Do("", func() (any, error) { return c.read(), nil })
	return v.(telemetry.Scrape)
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

// read reads all parts at the same time and joins the results.
func (c *Collector) read() telemetry.Scrape {
	ctx, cancel := context.WithTimeout(context.Background(), c.config.Timeout)
	defer cancel()
	var (
		wg       sync.WaitGroup
		found    []discovery.Device
		machine  []telemetry.Collector
		complete bool
		present  map[string]bool
		used     map[string]string
		cpu      discovery.CPU
		cpuState telemetry.Collector
		answer   podresources.Answer
		kubelet  telemetry.Collector
	)
	wg.Go(func() {
		found, machine = c.scan(ctx)
		complete = !slices.ContainsFunc(machine, func(s telemetry.Collector) bool { return !s.OK })
		var err error
		if present, err = discovery.Present(c.mounts()); err != nil {
			complete = false // although the scans could read their directories
		}
		if c.config.ExternalUse {
			var state telemetry.Collector
			used, state = probe(ctx, c, "external_use", func(context.Context) (map[string]string, error) {
				return externaluse.Users(c.config.Proc, files(found))
			})
			machine = append(machine, state)
		}
	})
	wg.Go(func() {
		cpu, cpuState = probe(ctx, c, "cpu", func(context.Context) (discovery.CPU, error) {
			return discovery.ReadCPU(c.config.Proc)
		})
	})
	wg.Go(func() {
		answer, kubelet = probe(ctx, c, "podresources", func(ctx context.Context) (podresources.Answer, error) {
			return c.kubelet(ctx)
		})
	})
	wg.Wait()

	seen := allocation.Machine{Devices: found, Complete: complete, Present: present}
	out := telemetry.Scrape{Node: c.config.Node, Collectors: append(machine, cpuState, kubelet)}
	if kubelet.OK {
		out.Devices = allocation.Merge(seen, &answer, used)
	} else {
		out.Devices = allocation.Merge(seen, nil, used)
	}
	c.noteFaults(found, complete)
	c.loads.measure(time.Now(), found, out.Devices)
	if cpuState.OK {
		out.CPUCores, out.CPUBusy = cpu.Cores, c.meter.busy(cpu)
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
