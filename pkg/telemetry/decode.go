package telemetry

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"heteroaccel.io/pkg/accel"
)

// maxSlots is the highest count that is accepted; no device is shared by more.
const maxSlots = 1 << 20

// Decode reads the series of one scrape of one exporter, made at the given time.
// It ignores unknown metrics. Anything else that is wrong is an error that names
// the metric: a NaN or negative value, a missing label, a device without health,
// two nodes in one scrape. Broken telemetry is never an idle node.
func Decode(series []Series, at time.Time) (Scrape, error) {
	b := builder{devices: map[accel.DeviceKey]*partial{}, collectors: map[string]*Collector{}, seen: map[string]bool{}}
	for _, s := range series {
		read, known := readers[s.Name]
		if !known {
			continue
		}
		if err := b.read(s, read); err != nil {
			return Scrape{}, fmt.Errorf("metric %s: %w", s.Name, err)
		}
	}
	out, err := b.scrape()
	if err != nil {
		return Scrape{}, err
	}
	out.Time = at
	return out, nil
}

// partial is a device while its series are read.
type partial struct {
	accel.Device
	info, healthy, slots bool
	healthInfo           *accel.Health
}

// builder collects the series of one scrape.
type builder struct {
	node       string
	info       bool
	cpu        [2]bool // cores read, busy read
	cores      float64
	busy       float64
	devices    map[accel.DeviceKey]*partial
	collectors map[string]*Collector
	seen       map[string]bool
}

// reader adds one series of a metric to the builder.
type reader func(b *builder, s Series) error

// read checks what all metrics have in common, then calls the metric's reader.
func (b *builder) read(s Series, read reader) error {
	if math.IsNaN(s.Value) || math.IsInf(s.Value, 0) || s.Value < 0 {
		return fmt.Errorf("value %v is not a number of 0 or more", s.Value)
	}
	node := s.Labels[labelNode]
	if node == "" {
		return errors.New("label node is missing")
	}
	if b.node != "" && b.node != node {
		return fmt.Errorf("is of node %q, others of the same scrape are of %q", node, b.node)
	}
	b.node = node
	return read(b, s)
}

// once returns an error when it is called twice with a key.
func (b *builder) once(s Series, key string) error {
	key = s.Name + "\x00" + key
	if b.seen[key] {
		return errors.New("occurs twice with the same labels")
	}
	b.seen[key] = true
	return nil
}

// device returns the device of a series.
func (b *builder) device(s Series) (*partial, error) {
	id := s.Labels[labelID]
	if id == "" {
		return nil, errors.New("label id is missing")
	}
	name := s.Labels[labelKind]
	if name == "" {
		return nil, errors.New("label kind is missing")
	}
	kind, err := accel.ParseKind(name)
	if err != nil {
		return nil, fmt.Errorf("label kind: %w", err)
	}
	key := accel.DeviceKey{Kind: kind, ID: id}
	d := b.devices[key]
	if d == nil {
		d = &partial{Device: accel.Device{Kind: kind, ID: id, Allocated: -1}}
		b.devices[key] = d
	}
	return d, nil
}

// scrape checks the whole scrape and sorts it.
func (b *builder) scrape() (Scrape, error) {
	if !b.info {
		return Scrape{}, fmt.Errorf("metric %s is missing: these are not an exporter's metrics, or not all of them", exporterInfo)
	}
	if b.cpu[0] != b.cpu[1] {
		return Scrape{}, fmt.Errorf("metrics %s and %s must occur together", cpuCores, cpuBusy)
	}
	// Both are computed from counters of clock ticks: a rounding error must not
	// lose the node.
	if b.busy > b.cores*1.01 {
		return Scrape{}, fmt.Errorf("metric %s: %v of %v cores cannot be busy", cpuBusy, b.busy, b.cores)
	}
	out := Scrape{Node: b.node, CPUCores: b.cores, CPUBusy: min(b.busy, b.cores)}
	for key, d := range b.devices {
		if err := d.check(); err != nil {
			return Scrape{}, fmt.Errorf("device %s: %w", key, err)
		}
		slices.SortFunc(d.Holders, accel.CompareHolders)
		out.Devices = append(out.Devices, d.Device)
	}
	slices.SortFunc(out.Devices, accel.CompareDevices)
	for _, c := range b.collectors {
		out.Collectors = append(out.Collectors, *c)
	}
	slices.SortFunc(out.Collectors, func(x, y Collector) int { return cmp.Compare(x.Name, y.Name) })
	return out, nil
}

// check returns an error when the device's series are inconsistent.
func (d *partial) check() error {
	switch {
	case !d.info:
		return fmt.Errorf("metric %s is missing", deviceInfo)
	case !d.healthy && (d.healthInfo == nil || *d.healthInfo != accel.HealthUnknown):
		// Unknown health is explicit: a missing series is an error.
		return fmt.Errorf("metric %s is missing", deviceHealthy)
	case d.healthInfo != nil && *d.healthInfo != d.Health:
		return fmt.Errorf("metric %s: the device is %s, but %s differs", deviceHealthInfo, *d.healthInfo, deviceHealthy)
	case !d.slots:
		return fmt.Errorf("metric %s is missing", deviceSlots)
	case d.Allocated > d.Slots:
		return fmt.Errorf("metric %s: %d of %d slots cannot be allocated", deviceAllocated, d.Allocated, d.Slots)
	}
	held := 0
	for _, h := range d.Holders {
		held += h.Slots
	}
	if held > max(d.Allocated, 0) {
		return fmt.Errorf("metric %s: containers hold %d slots, but %s differs", deviceHolder, held, deviceAllocated)
	}
	return nil
}
