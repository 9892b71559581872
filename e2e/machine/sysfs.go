package machine

import (
	"fmt"
	"path"
	"strings"
)

// The layout is the kernel's: a device has one directory below devices/, and
// everything else (class/, bus/) is links to it.

// bystanders writes what every machine has and nobody should take for an
// accelerator: the directories of classes without members, a USB hub, and the
// "version" file that stands among the cards in class/drm.
func (t *tree) bystanders() {
	for _, dir := range []string{"class/drm", "class/accel", "class/fpga_region", "bus/pci/devices", "bus/usb/devices"} {
		t.dir(dir)
	}
	t.file("class/drm/version", "drm 1.1.0 20060810")
	hub := usbDir("usb1")
	t.file(hub+"/idVendor", "1d6b")
	t.file(hub+"/idProduct", "0002")
	t.file(hub+"/product", "xHCI Host Controller")
	t.link("bus/usb/devices/usb1", hub)
	t.link(hub+"/driver", "bus/usb/drivers/usb")
}

// plug writes a device.
func (t *tree) plug(d Device) {
	if d.Bus == USB {
		t.plugUSB(d)
	} else {
		t.plugPCI(d)
	}
	t.bind(d)
}

func (t *tree) plugPCI(d Device) {
	dir := d.dir()
	t.file(dir+"/vendor", "0x"+d.VendorID)
	t.file(dir+"/device", "0x"+d.DeviceID)
	t.file(dir+"/class", pciClass[d.Class])
	t.file(dir+"/numa_node", fmt.Sprint(d.NUMA))
	t.link(dir+"/subsystem", "bus/pci")
	t.link("bus/pci/devices/"+d.Address, dir)
}

func (t *tree) plugUSB(d Device) {
	dir := d.dir()
	t.file(dir+"/idVendor", d.VendorID)
	t.file(dir+"/idProduct", d.DeviceID)
	t.file(dir+"/manufacturer", d.Vendor)
	t.file(dir+"/product", d.Model)
	t.file(dir+"/serial", d.VendorID+d.DeviceID)
	bus, number := usbNumbers(d.Node)
	t.file(dir+"/busnum", bus)
	t.file(dir+"/devnum", number)
	t.link(dir+"/subsystem", "bus/usb")
	t.link("bus/usb/devices/"+d.Address, dir)
}

// bind writes what a driver adds to its device: the driver link, and the class
// device through which programs find it.
func (t *tree) bind(d Device) {
	dir := d.dir()
	driver := fmt.Sprintf("bus/%s/drivers/%s", d.Bus, d.Driver)
	t.dir(driver)
	t.link(dir+"/driver", driver)
	t.link(driver+"/"+d.Address, dir)
	for _, name := range d.classDevices() {
		at := path.Join(dir, d.Class, name)
		t.link(at+"/device", dir)
		t.link(at+"/subsystem", "class/"+d.Class)
		t.link("class/"+d.Class+"/"+name, at)
	}
	if d.Class == "fpga_region" {
		index := strings.TrimPrefix(d.Name, "region")
		at := path.Join(dir, d.Class, d.Name)
		t.file(at+"/dfl-fme."+index+"/ports_num", "1")
		// The function nlb0 of the acceleration stack, by its id.
		t.file(at+"/dfl-port."+index+"/afu_id", "d8424dc4a4a3c413f89e433683f9040b")
	}
}

// unbind takes away what bind wrote. Where a GPU has connectors they go too.
func (t *tree) unbind(d Device) {
	dir := d.dir()
	for _, name := range d.classDevices() {
		t.remove("class/" + d.Class + "/" + name)
	}
	if d.Class != "" {
		t.remove(path.Join(dir, d.Class))
	}
	t.remove(fmt.Sprintf("bus/%s/drivers/%s/%s", d.Bus, d.Driver, d.Address))
	t.remove(dir + "/driver")
}

// unplug takes away the whole device.
func (t *tree) unplug(d Device) {
	t.unbind(d)
	t.remove(fmt.Sprintf("bus/%s/devices/%s", d.Bus, d.Address))
	t.remove(d.dir())
}

// dir is the device's directory below the sysfs root.
func (d Device) dir() string {
	if d.Bus == USB {
		return usbDir("usb1/" + d.Address)
	}
	return "devices/pci0000:00/" + d.Address
}

func usbDir(rest string) string { return "devices/pci0000:00/0000:00:14.0/" + rest }

// classDevices are the names under which the device's driver shows it in its
// class. A GPU has its card, its render node and a connector.
func (d Device) classDevices() []string {
	switch d.Class {
	case "":
		return nil
	case "drm":
		return []string{d.Name, path.Base(d.Node), d.Name + "-HDMI-A-1"}
	default:
		return []string{d.Name}
	}
}

// pciClass is the PCI class code of the devices of a sysfs class: display
// controller, processing accelerator.
var pciClass = map[string]string{
	"drm":         "0x030000",
	"accel":       "0x120000",
	"fpga_region": "0x120000",
}

// usbNumbers reads bus and device number from /dev/bus/usb/001/002.
func usbNumbers(node string) (bus, device string) {
	trim := func(s string) string { return strings.TrimLeft(s, "0") }
	return trim(path.Base(path.Dir(node))), trim(path.Base(node))
}
