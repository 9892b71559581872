package telemetry

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"heteroaccel.io/pkg/accel"
)

// readers reads each metric of the contract.
var readers = map[string]reader{
	exporterInfo:      readExporterInfo,
	deviceInfo:        readDeviceInfo,
	deviceHealthy:     readHealthy,
	deviceHealthInfo:  readHealthInfo,
	deviceSlots:       readSlots,
	deviceAllocated:   readAllocated,
	deviceHolder:      readHolder,
	deviceExternalUse: readExternalUse,
	deviceBusy:        readDeviceBusy,
	deviceBusySeconds: readBusySeconds,
	cpuCores:          readCores,
	cpuBusy:           readBusy,
	collectorSuccess:  readCollectorSuccess,
	collectorDuration: readCollectorDuration,
}

func readExporterInfo(b *builder, s Series) error {
	if err := b.once(s, ""); err != nil {
		return err
	}
	b.info = true
	return one(s)
}

func readDeviceInfo(b *builder, s Series) error {
	d, err := b.device(s)
	if err != nil {
		return err
	}
	if d.info {
		return errors.New("occurs twice for the same device")
	}
	d.info = true
	d.Resource = s.Labels[labelResource]
	d.Vendor = s.Labels[labelVendor]
	d.Model = s.Labels[labelModel]
	d.Driver = s.Labels[labelDriver]
	d.PluginID = s.Labels[labelPluginID]
	if numa := s.Labels[labelNUMA]; numa != "" {
		node, err := strconv.ParseUint(numa, 10, 16)
		if err != nil {
			return fmt.Errorf("label numa_node: %.20q is not the number of a NUMA node", numa)
		}
		d.NUMA = new(int(node))
	}
	return one(s)
}

func readHealthy(b *builder, s Series) error {
	d, err := b.device(s)
	if err != nil {
		return err
	}
	if d.healthy {
		return errors.New("occurs twice for the same device")
	}
	d.healthy = true
	sound, err := boolean(s)
	d.Health = accel.Unhealthy
	if sound {
		d.Health = accel.Healthy
	}
	return err
}

func readHealthInfo(b *builder, s Series) error {
	d, err := b.device(s)
	if err != nil {
		return err
	}
	if d.healthInfo != nil {
		return errors.New("occurs twice for the same device")
	}
	var health accel.Health
	if err := health.UnmarshalText([]byte(s.Labels[labelHealth])); err != nil {
		return fmt.Errorf("label health: %w", err)
	}
	d.healthInfo, d.Reason = &health, s.Labels[labelReason]
	return one(s)
}

func readSlots(b *builder, s Series) error {
	d, err := b.device(s)
	if err != nil {
		return err
	}
	if d.slots {
		return errors.New("occurs twice for the same device")
	}
	d.slots = true
	d.Slots, err = count(s, 1)
	return err
}

func readAllocated(b *builder, s Series) error {
	d, err := b.device(s)
	if err != nil {
		return err
	}
	if d.Allocated >= 0 {
		return errors.New("occurs twice for the same device")
	}
	d.Allocated, err = count(s, 0)
	return err
}

func readHolder(b *builder, s Series) error {
	d, err := b.device(s)
	if err != nil {
		return err
	}
	h := accel.Holder{
		Namespace: s.Labels[labelNamespace],
		Pod:       s.Labels[labelPod],
		Container: s.Labels[labelContainer],
		Claim:     s.Labels[labelClaim],
	}
	switch {
	case h.Namespace == "":
		return errors.New("label namespace is missing")
	case h.Pod == "":
		return errors.New("label pod is missing")
	case h.Container == "":
		return errors.New("label container is missing")
	}
	key := strings.Join([]string{string(d.Kind), d.ID, h.Namespace, h.Pod, h.Container, h.Claim}, "\x00")
	if err := b.once(s, key); err != nil {
		return err
	}
	if h.Slots, err = count(s, 1); err != nil {
		return err
	}
	d.Holders = append(d.Holders, h)
	return nil
}

func readExternalUse(b *builder, s Series) error {
	d, err := b.device(s)
	if err != nil {
		return err
	}
	if d.ExternalUse != "" {
		return errors.New("occurs twice for the same device")
	}
	if d.ExternalUse = s.Labels[labelCommand]; d.ExternalUse == "" {
		return errors.New("label command is missing")
	}
	return one(s)
}

func readDeviceBusy(b *builder, s Series) error {
	d, err := b.device(s)
	switch {
	case err != nil:
		return err
	case d.Busy != nil:
		return errors.New("occurs twice for the same device")
	case s.Value > 1:
		return fmt.Errorf("value %v must be from 0 to 1", s.Value)
	}
	d.Busy = &s.Value
	return nil
}

func readBusySeconds(b *builder, s Series) error {
	d, err := b.device(s)
	switch {
	case err != nil:
		return err
	case d.BusySeconds != nil:
		return errors.New("occurs twice for the same device")
	}
	d.BusySeconds = &s.Value
	return nil
}

func readCores(b *builder, s Series) error {
	if s.Value == 0 {
		return errors.New("a machine has more than 0 cores")
	}
	b.cores, b.cpu[0] = s.Value, true
	return b.once(s, "")
}

func readBusy(b *builder, s Series) error {
	b.busy, b.cpu[1] = s.Value, true
	return b.once(s, "")
}

func readCollectorSuccess(b *builder, s Series) error {
	c, err := b.collector(s)
	if err != nil {
		return err
	}
	c.OK, err = boolean(s)
	return err
}

func readCollectorDuration(b *builder, s Series) error {
	c, err := b.collector(s)
	if err != nil {
		return err
	}
	c.Seconds = s.Value
	return nil
}

// collector returns the collector of a series.
func (b *builder) collector(s Series) (*Collector, error) {
	name := s.Labels[labelCollector]
	if name == "" {
		return nil, errors.New("label collector is missing")
	}
	if err := b.once(s, name); err != nil {
		return nil, err
	}
	c := b.collectors[name]
	if c == nil {
		c = &Collector{Name: name}
		b.collectors[name] = c
	}
	return c, nil
}

func one(s Series) error {
	if s.Value != 1 {
		return fmt.Errorf("value %v must be 1", s.Value)
	}
	return nil
}

func boolean(s Series) (bool, error) {
	if s.Value != 0 && s.Value != 1 {
		return false, fmt.Errorf("value %v must be 0 or 1", s.Value)
	}
	return s.Value == 1, nil
}

// count reads a whole number of at least lowest.
func count(s Series, lowest float64) (int, error) {
	if s.Value != math.Trunc(s.Value) || s.Value < lowest || s.Value > maxSlots {
		return 0, fmt.Errorf("value %v must be a whole number from %v to %d", s.Value, lowest, maxSlots)
	}
	return int(s.Value), nil
}
