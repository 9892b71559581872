package discovery

import (
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

var (
	virtualFunction = regexp.MustCompile(`^virtfn[0-9]+$`)
	// amdPartition matches the device that amdgpu creates for each part of a
	// divided card except the first (drivers/gpu/drm/amd/amdxcp/amdgpu_xcp_drv.c).
	amdPartition = regexp.MustCompile(`^amdgpu_xcp[_.][0-9]+$`)
	mediated     = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)
	anything     = regexp.MustCompile(`.`)
	kfdNode      = regexp.MustCompile(`^[0-9]+$`)
)

// addParts adds the names of a device's virtual functions and mediated devices.
func addParts(d *Device, h hardware) error {
	return errors.Join(addFunctions(d, h), addMediated(d, h))
}

// addMediated adds the UUIDs of the mediated devices, such as vGPUs, that a
// device is divided into (Documentation/driver-api/vfio-mediated-device.rst):
// they are directories below that of the device.
func addMediated(d *Device, h hardware) error {
	types, err := list(filepath.Join(h.dir, "mdev_supported_types"), anything)
	if err != nil || len(types) == 0 {
		return err
	}
	names, err := list(h.dir, mediated)
	d.Names = union(d.Names, names)
	return err
}

// addFunctions adds to a physical function the addresses of those of its virtual
// functions (Documentation/PCI/pci-iov-howto.rst) that are no devices of their
// own on the host, since they are set aside or have no driver: each is served as
// a part of the card.
func addFunctions(d *Device, h hardware) error {
	count, _, err := readNumber(h.dir, "sriov_numvfs")
	if err != nil || count <= 0 {
		return err
	}
	names, err := list(h.dir, virtualFunction)
	errs := []error{err}
	for _, name := range names {
		id, err := readLink(h.dir, name)
		errs = append(errs, err)
		if pciAddress.MatchString(id) && !hasClass(filepath.Join(h.dir, name)) {
			d.Names = union(d.Names, []string{id, dashes.Replace(id)})
		}
	}
	return errors.Join(errs...)
}

// addPartitions adds the names and files of their parts to divided AMD cards.
// The topology of the kernel's compute driver has the card of each part, by the
// number of its render node; a part that is not in it does not exist at present,
// though its device does. Without a topology all parts belong to the only card,
// or to none if there are several.
func addPartitions(m Mounts, cards []Device) error {
	var amd []int
	for i := range cards {
		if cards[i].Driver == "amdgpu" {
			amd = append(amd, i)
		}
	}
	if len(amd) == 0 {
		return nil
	}
	dir := filepath.Join(m.Sys, "class/drm")
	names, err := list(dir, card)
	errs := []error{err}
	var nodes map[string]string
	for _, name := range names {
		bus, err := filepath.EvalSymlinks(filepath.Join(dir, name, "device"))
		if err != nil || !amdPartition.MatchString(filepath.Base(bus)) {
			continue
		}
		if nodes == nil {
			var err error
			nodes, err = topology(m)
			errs = append(errs, err)
		}
		renders, err := list(filepath.Join(bus, "drm"), renderNode)
		errs = append(errs, err)
		for _, render := range renders {
			at := slices.IndexFunc(amd, func(i int) bool { return nodes[render] != "" && strings.HasPrefix(cards[i].ID, nodes[render]) })
			if at < 0 && len(nodes) == 0 && len(amd) == 1 {
				at = 0
			}
			if at >= 0 {
				d := &cards[amd[at]]
				d.Names = union(d.Names, []string{filepath.Base(bus), name, render, amdClaim(name, render)})
				d.Files = union(d.Files, []string{"/dev/dri/" + render})
			}
		}
	}
	return errors.Join(errs...)
}

// amdClaim is the name that AMD's DRA driver has for a card, or a part of one.
func amdClaim(card, render string) string {
	return "gpu.amd.com/gpu-" + strings.TrimPrefix(card, "card") + "-" + strings.TrimPrefix(render, "renderD")
}

// topology reads the PCI device of each render node ("renderD129") from
// <sys>/class/kfd/kfd/topology/nodes. The device is without its function
// ("0000:05:00."), which may be the number of a part. The properties are those of
// kfd_topology.c: location_id is the bus and the device of the address.
func topology(m Mounts) (map[string]string, error) {
	dir := filepath.Join(m.Sys, "class/kfd/kfd/topology/nodes")
	names, err := list(dir, kfdNode)
	errs := []error{err}
	out := map[string]string{}
	for _, name := range names {
		text, err := readAttribute(filepath.Join(dir, name), "properties")
		errs = append(errs, err)
		numbers := map[string]uint64{}
		for line := range strings.Lines(text) {
			key, value, _ := strings.Cut(strings.TrimSpace(line), " ")
			if number, err := strconv.ParseUint(value, 10, 64); err == nil {
				numbers[key] = number
			}
		}
		if render := numbers["drm_render_minor"]; render > 0 {
			at := numbers["location_id"]
			out[fmt.Sprintf("renderD%d", render)] = fmt.Sprintf("%04x:%02x:%02x.", numbers["domain"], at>>8&0xff, at>>3&0x1f)
		}
	}
	return out, errors.Join(errs...)
}
