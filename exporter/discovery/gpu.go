package discovery

import (
	"path/filepath"
	"regexp"
	"strings"
)

// card matches a graphics card and none of its connectors (card0-HDMI-A-1).
var (
	card       = regexp.MustCompile(`^card[0-9]+$`)
	renderNode = regexp.MustCompile(`^renderD[0-9]+$`)
)

// notAccelerators are the PCI vendors of graphics that draw a console and do
// not compute: those of virtual machines and of management controllers.
var notAccelerators = map[string]string{
	"0x1234": "Bochs and QEMU standard VGA",
	"0x1013": "Cirrus Logic",
	"0x1414": "Hyper-V",
	"0x15ad": "VMware",
	"0x1a03": "ASPEED",
	"0x1af4": "virtio",
	"0x1b36": "QXL",
	"0x102b": "Matrox",
	"0x5853": "Xen",
	"0x80ee": "VirtualBox",
}

// GPUs finds the graphics cards that compute, through <sys>/class/drm. Cards
// without a PCI vendor are firmware framebuffers and are not reported.
func GPUs(sys string) ([]Device, error) {
	return each(filepath.Join(sys, "class/drm"), card, readGPU)
}

func readGPU(dir, name string) (*Device, error) {
	bus := filepath.Join(dir, "device")
	h, err := readHardware(bus)
	if err != nil {
		return nil, err
	}
	if _, virtual := notAccelerators[h.vendor]; virtual || h.vendor == "" || strings.HasPrefix(h.id, "virtio") {
		return nil, nil
	}
	nodes, err := list(filepath.Join(bus, "drm"), renderNode)
	if err != nil {
		return nil, err
	}
	d := pciDevice(h, name)
	d.Kind = "GPU"
	for _, node := range nodes {
		d.Names = append(d.Names, node)
		d.Files = append(d.Files, "/dev/dri/"+node)
	}
	return &d, nil
}

// pciDevice describes hardware that needs a driver to be of use. The name is
// that of its class: it stands in for an id where the bus gives none.
func pciDevice(h hardware, name string) Device {
	if h.id == "" {
		h.id = name
	}
	return Device{
		ID:       h.id,
		Vendor:   vendorName(h.vendor),
		Model:    modelName(h.vendor, h.product),
		Driver:   h.driver,
		Usable:   h.driver != "",
		Resource: resourceOfDriver[h.driver],
		Names:    namesOf(h.id, name),
	}
}
