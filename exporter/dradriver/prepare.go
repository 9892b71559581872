package dradriver

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	resourceapi "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/dynamic-resource-allocation/kubeletplugin"

	"heteroaccel.io/exporter/cdi"
	"heteroaccel.io/exporter/collector"
	"heteroaccel.io/exporter/discovery"
	"heteroaccel.io/exporter/resourceslice"
	"heteroaccel.io/pkg/accel"
)

// PrepareResourceClaims implements kubeletplugin.DRAPlugin: it writes a file for each
// claim of devices. The kubelet asks again after a restart, and gets the same answer.
func (d *Driver) PrepareResourceClaims(ctx context.Context, claims []*resourceapi.ResourceClaim) (map[types.UID]kubeletplugin.PrepareResult, error) {
	d.claims.Lock()
	defer d.claims.Unlock()
	reading := d.read()
	out := map[types.UID]kubeletplugin.PrepareResult{}
	for _, claim := range claims {
		devices, err := d.prepare(ctx, claim, reading)
		if err != nil {
			d.log.Warn().Err(err).Str("namespace", claim.Namespace).Str("claim", claim.Name).Msg("claim cannot be prepared")
		}
		d.count(func(c *counts) { c.add(&c.prepared, err) })
		out[claim.UID] = kubeletplugin.PrepareResult{Devices: devices, Err: err}
	}
	return out, nil
}

// UnprepareResourceClaims implements kubeletplugin.DRAPlugin. A claim that is not
// prepared, or whose object is gone, is no error.
func (d *Driver) UnprepareResourceClaims(_ context.Context, claims []kubeletplugin.NamespacedObject) (map[types.UID]error, error) {
	d.claims.Lock()
	defer d.claims.Unlock()
	out := map[types.UID]error{}
	for _, claim := range claims {
		err := d.files.Remove(claim.UID)
		if err != nil {
			d.log.Warn().Err(err).Str("namespace", claim.Namespace).Str("claim", claim.Name).Msg("claim cannot be unprepared")
		}
		d.count(func(c *counts) { c.add(&c.unprepared, err) })
		out[claim.UID] = err
	}
	return out, nil
}

// prepare writes the file of one claim. One that only has the CPU needs none.
func (d *Driver) prepare(ctx context.Context, claim *resourceapi.ResourceClaim, r collector.Reading) ([]kubeletplugin.Device, error) {
	before, there, err := d.files.Claim(claim.UID)
	if err != nil {
		d.log.Warn().Err(err).Msg("the file is written again") // nothing else has its name
	}
	var out []kubeletplugin.Device
	file := cdi.Claim{Namespace: claim.Namespace, Name: claim.Name, UID: claim.UID}
	changed := false
	for _, a := range d.allocated(claim) {
		one := kubeletplugin.Device{Requests: []string{a.Request}, PoolName: a.Pool, DeviceName: a.Device, ShareID: a.ShareID}
		if a.Device != accel.CPUDevice {
			if why := d.lacksCDI(); why != "" {
				return nil, fmt.Errorf("the container would start without its device: %s", why)
			}
			one.CDIDeviceIDs = []string{cdi.DeviceID(claim.UID, a.Device)}
			named := func(x cdi.Device) bool { return x.Name == a.Device }
			if !slices.ContainsFunc(file.Devices, named) { // shares of one device are one
				device, err := d.find(a.Device, r)
				switch at := slices.IndexFunc(before.Devices, named); {
				case err == nil:
					changed = true
				case there && at >= 0:
					device = before.Devices[at] // it is away, and was prepared before
				default:
					return nil, err
				}
				device.Shared = device.Shared || a.AdminAccess != nil && *a.AdminAccess
				if err := d.checkFree(ctx, claim, device); err != nil {
					return nil, err
				}
				file.Devices = append(file.Devices, device)
			}
		}
		out = append(out, one)
	}
	if !changed {
		return out, nil
	}
	return out, d.files.Write(file)
}

// allocated are the results of a claim's allocation that are this driver's to prepare.
func (d *Driver) allocated(claim *resourceapi.ResourceClaim) []resourceapi.DeviceRequestAllocationResult {
	if claim.Status.Allocation == nil {
		return nil
	}
	var out []resourceapi.DeviceRequestAllocationResult
	for _, a := range claim.Status.Allocation.Devices.Results {
		if a.Driver == accel.DeviceDriver && a.Pool == d.config.Node {
			out = append(out, a)
		}
	}
	return out
}

func (d *Driver) lacksCDI() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.state.lacksCDI
}

// find returns a device by its name in the pool, with its files as they are now.
func (d *Driver) find(name string, r collector.Reading) (cdi.Device, error) {
	for _, f := range r.Machine.Devices {
		if resourceslice.Name(f.Kind, f.ID) != name {
			continue
		}
		out := cdi.Device{Name: name, Kind: f.Kind, Shared: d.config.Slots[f.Kind] > 1}
		for _, path := range f.Files {
			nodes, err := d.nodes(path)
			if err != nil {
				return cdi.Device{}, err
			}
			out.Nodes = append(out.Nodes, nodes...)
		}
		if len(out.Nodes) == 0 {
			return cdi.Device{}, fmt.Errorf("device %s has no device file: %s", name, f.Fault)
		}
		return out, nil
	}
	return cdi.Device{}, fmt.Errorf("node %s has no device %s any more", d.config.Node, name)
}

// nodes returns what a container gets for a device file. The file of a USB device
// changes its number.
func (d *Driver) nodes(path string) ([]cdi.Node, error) {
	info, err := os.Stat(filepath.Join(d.config.Dev, strings.TrimPrefix(path, "/dev/")))
	if err != nil {
		return nil, fmt.Errorf("look at a device file: %w", err)
	}
	var group uint32
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		group = stat.Gid
	}
	usb, err := discovery.USBFiles(discovery.Mounts{Sys: d.config.Sys, Proc: d.config.Proc}, path)
	if err != nil {
		return nil, err
	}
	if usb == nil {
		return []cdi.Node{{Path: path, GID: group}}, nil
	}
	var out []cdi.Node
	for _, f := range usb {
		out = append(out, cdi.Node{Path: f.Path, GID: group, Number: &cdi.Number{Major: f.Major, Minor: f.Minor}})
	}
	return out, nil
}

// checkFree is the last line of defence: a device that claims do not share must not be
// prepared for two. Of a claim that is gone the file is removed.
func (d *Driver) checkFree(ctx context.Context, claim *resourceapi.ResourceClaim, device cdi.Device) error {
	if device.Shared {
		return nil
	}
	others, err := d.files.Claims()
	for _, other := range others {
		if other.UID == claim.UID || !slices.ContainsFunc(other.Devices, func(x cdi.Device) bool { return x.Name == device.Name }) {
			continue
		}
		left, errLeft := d.isLeft(ctx, other)
		if left && errLeft == nil {
			errLeft = d.files.Remove(other.UID)
		}
		if !left || errLeft != nil {
			return errors.Join(fmt.Errorf("device %s is still prepared for claim %s/%s", device.Name, other.Namespace, other.Name), errLeft)
		}
	}
	if err != nil {
		d.log.Warn().Err(err).Msg("files of claims cannot be read")
	}
	return nil
}
