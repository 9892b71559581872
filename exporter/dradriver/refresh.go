package dradriver

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	resourceapi "k8s.io/api/resource/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/dynamic-resource-allocation/deviceattribute"
	"k8s.io/dynamic-resource-allocation/kubeletplugin"
	lib "k8s.io/dynamic-resource-allocation/resourceslice"

	"heteroaccel.io/exporter/allocation"
	"heteroaccel.io/exporter/collector"
	"heteroaccel.io/exporter/discovery"
	"heteroaccel.io/exporter/resourceslice"
	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/containerruntime"
)

// settleRefreshes is for how many readings a device must be usable until its taint goes.
const settleRefreshes = 2

// pciBusID is the standard attribute with a PCI address.
const pciBusID = deviceattribute.StandardDeviceAttributePCIBusID

// refresh reads the node and publishes what has changed.
func (d *Driver) refresh(ctx context.Context, helper *kubeletplugin.Helper) {
	reading := d.read()
	n := d.readNode(ctx)
	if reading.Kubelet != nil {
		d.plugins = allocation.PluginKinds(reading.Machine, *reading.Kubelet)
	}
	d.mu.Lock()
	dropped := maps.Clone(d.state.dropped)
	d.mu.Unlock()
	s := sources{node: n, plugins: pluginKinds(reading.Machine.Devices, d.plugins, n), dropped: dropped}
	if n != nil {
		s.lacksCDI = containerruntime.LacksCDI(n.runtime, d.config.RuntimeHasCDI)
		s.drivers = otherDrivers(reading.Machine.Devices, n.slices)
	}
	withheld := withhold(d.config.Kinds, s)
	devices, driven := d.describe(time.Now(), reading, withheld, dropped)
	before := d.set(withheld, s.lacksCDI, devices, driven, n != nil)
	if n == nil {
		return
	}
	if before == nil || !apiequality.Semantic.DeepEqual(before, devices) {
		d.publish(ctx, helper, devices)
	}
	d.sweep(ctx)
}

// describe returns the devices of the kinds that are not withheld, and their names for
// the kubelet.
func (d *Driver) describe(now time.Time, r collector.Reading, withheld map[accel.Kind]Withheld, dropped map[string]bool) ([]resourceapi.Device, map[accel.DeviceKey]allocation.Driven) {
	devices := []resourceapi.Device{}
	driven := map[accel.DeviceKey]allocation.Driven{}
	for _, kind := range d.config.Kinds {
		if _, not := withheld[kind]; not {
			delete(d.roster, kind)
			continue
		}
		if kind == accel.CPU {
			devices = append(devices, resourceslice.CPU(discovery.ReadProcessors(d.config.Proc)))
			continue
		}
		if d.roster[kind] == nil {
			d.roster[kind] = resourceslice.NewRoster(settleRefreshes * d.config.Refresh)
		}
		slots := max(d.config.Slots[kind], 1)
		if dropped[consumableCapacity] {
			slots = 1
		}
		var offers []resourceslice.Offer
		for _, f := range r.Machine.Devices {
			if f.Kind != kind || !drivable(f) {
				continue
			}
			offers = append(offers, resourceslice.Offer{Device: f, Slots: slots, UsedBy: usedBy(f, r.Used), Standard: d.standard(f.ID)})
			driven[f.Key()] = allocation.Driven{Name: strings.Join([]string{accel.DeviceDriver, d.config.Node, resourceslice.Name(kind, f.ID)}, "/"), Slots: slots}
		}
		for _, one := range d.roster[kind].Update(now, offers, r.Machine.Complete) {
			if len(one.Taints) > 0 && dropped[deviceTaints] {
				continue // it would look usable
			}
			devices = append(devices, one)
		}
	}
	return devices, driven
}

// drivable reports whether device files are all that a container needs of a device.
// NVIDIA's need libraries of the host, which their own DRA driver brings.
func drivable(f discovery.Device) bool { return f.Vendor != "NVIDIA" }

func usedBy(f discovery.Device, used map[string]string) string {
	for _, file := range f.Files {
		if command := used[file]; command != "" {
			return command
		}
	}
	return ""
}

// standard are the standard attributes of a PCI device; none for others.
func (d *Driver) standard(id string) map[resourceapi.QualifiedName]resourceapi.DeviceAttribute {
	out := map[resourceapi.QualifiedName]resourceapi.DeviceAttribute{}
	if a, err := deviceattribute.GetPCIBusIDAttribute(id); err == nil {
		out[a.Name] = a.Value
	}
	if a, err := deviceattribute.GetPCIeRootAttributeByPCIBusID(id, deviceattribute.WithFSFromRoot(d.config.Sys)); err == nil {
		out[a.Name] = a.Value
	}
	return out
}

// set tells others what the loop found, and returns what was published before. Without
// an answer of the API server everything but the reason stays.
func (d *Driver) set(withheld map[accel.Kind]Withheld, lacksCDI string, devices []resourceapi.Device, driven map[accel.DeviceKey]allocation.Driven, known bool) []resourceapi.Device {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, kind := range d.config.Kinds {
		switch now, is := withheld[kind]; {
		case is && now != d.state.withheld[kind]:
			d.log.Warn().Str("kind", string(kind)).Str("reason", string(now.Reason)).Str("why", now.Sentence).Msg("kind is not published")
		case !is && d.state.withheld[kind] != Withheld{}:
			d.log.Info().Str("kind", string(kind)).Msg("kind is published from now on")
		}
	}
	before := d.state.devices
	d.state.withheld, d.state.lacksCDI = withheld, lacksCDI
	if known {
		d.state.devices, d.state.driven = devices, driven
	}
	return before
}

// publish hands the devices to the library, which writes what differs from what the
// API server has.
func (d *Driver) publish(ctx context.Context, helper *kubeletplugin.Helper, devices []resourceapi.Device) {
	pool := resourceslice.Pool(slices.Clone(devices))
	err := helper.PublishResources(ctx, lib.DriverResources{Pools: map[string]lib.Pool{d.config.Node: pool}})
	switch {
	case ctx.Err() != nil:
		return // it was told to end while it waited for the API server
	case err != nil:
		d.HandleError(ctx, err, "publish devices")
		return
	}
	d.count(func(c *counts) { c.publications++ })
	names := make([]string, len(devices))
	for i, one := range devices {
		names[i] = one.Name
		for _, t := range one.Taints {
			names[i] += " (" + t.Key + "=" + t.Value + ")"
		}
	}
	d.log.Info().Strs("devices", names).Msg("devices are published")
}
