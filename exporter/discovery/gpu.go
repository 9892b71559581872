package discovery

import (
	"errors"
	"path/filepath"
	"regexp"
	"strings"
)

var (
	// card matches a graphics card and none of its connectors (card0-HDMI-A-1).
	card       = regexp.MustCompile(`^card[0-9]+$`)
	renderNode = regexp.MustCompile(`^renderD[0-9]+$`)
)

// consoleVendors are the PCI vendors of graphics that draw a console and cannot
// compute: those of virtual machines and of management controllers.
var consoleVendors = map[string]string{
	"0x1013": "Cirrus Logic",
	"0x102b": "Matrox",
	"0x1234": "Bochs and QEMU standard VGA",
	"0x126f": "Silicon Motion",
	"0x1414": "Hyper-V",
	"0x15ad": "VMware",
	"0x18ca": "XGI",
	"0x19e5": "Huawei's management controllers",
	"0x1a03": "ASPEED",
	"0x1af4": "virtio",
	"0x1b36": "QXL",
	"0x1d0f": "Amazon's virtual machines",
	"0x5853": "Xen",
	"0x80ee": "VirtualBox",
}

// consoleGPUs are graphics of management controllers by vendors of accelerators.
var consoleGPUs = map[string]string{
	"0x1002 0x4752": "Rage XL",
	"0x1002 0x515e": "ES1000",
}

// canCompute reports whether graphics are an accelerator.
func canCompute(h hardware) bool {
	_, vendor := consoleVendors[h.vendor]
	_, console := consoleGPUs[h.vendor+" "+h.product]
	return h.vendor != "" && !vendor && !console && !strings.HasPrefix(h.id, "virtio")
}

// GPUs finds the graphics cards that can compute in <sys>/class/drm. It skips
// framebuffers and display controllers. The primary node, /dev/dri/card0, is not
// among a card's Files: display servers keep it open, and programs compute
// through the render node (Documentation/gpu/drm-uapi.rst, "Render nodes").
func GPUs(m Mounts) ([]Device, error) {
	cards, err := readEach(filepath.Join(m.Sys, "class/drm"), card, func(dir, name string) (*Device, error) {
		return readGPU(m, dir, name)
	})
	return cards, errors.Join(err, addPartitions(m, cards))
}

func readGPU(m Mounts, dir, name string) (*Device, error) {
	h, err := readHardware(filepath.Join(dir, "device"))
	onChip := isChipGPU(h)
	if !onChip && !canCompute(h) {
		return nil, err
	}
	nodes, errNodes := list(filepath.Join(h.dir, "drm"), renderNode)
	if onChip && len(nodes) == 0 {
		return nil, errors.Join(err, errNodes)
	}
	errHealth := errors.Join(h.readDriverHealth(dir), h.inheritHealth())
	d := newDevice("GPU", h, append([]string{name}, nodes...)...)
	d.OnlyIfServed = onChip
	errParts := addParts(&d, h)
	for _, node := range nodes {
		d.Files = append(d.Files, "/dev/dri/"+node)
		if h.driver == "amdgpu" {
			d.Names = append(d.Names, amdClaim(name, node))
		}
	}
	var errActivity, errNVIDIA error
	d.Activity, errActivity = activityOf(h, dir)
	if h.driver == nvidia {
		errNVIDIA = describeNVIDIA(m, &d)
	}
	return &d, errors.Join(err, errNodes, errHealth, errParts, errActivity, errNVIDIA)
}
