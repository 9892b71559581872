package allocation

import (
	"regexp"
	"strings"

	"heteroaccel.io/pkg/accel"
)

// kindWords are parts of an extended resource's name that say its kind, in the
// order in which they are tried.
var kindWords = []struct {
	word string
	kind accel.Kind
}{
	{"fpga", "FPGA"},
	{"npu", "NPU"},
	{"vpu", "NPU"},
	{"gpu", "GPU"},
}

// gpuPart matches the resources of parts of GPUs: NVIDIA's MIG devices, and
// AMD's partitions by compute and memory.
var gpuPart = regexp.MustCompile(`^nvidia\.com/mig-|^amd\.com/[sdtqc]px(_nps[0-9]+)?$`)

// vendorDomains are words in the domain of a resource that say its vendor, by
// the name that discovery has for it.
var vendorDomains = []struct{ word, vendor string }{
	{"intel", "Intel"}, {"altera", "Intel"}, {"nvidia", "NVIDIA"}, {"amd.com", "AMD"}, {"xilinx", "AMD"},
	{"habana", "Habana Labs"}, {"qualcomm", "Qualcomm"},
	{"hailo", "Hailo"}, {"huawei", "Huawei"}, {"rebellions", "Rebellions"}, {"furiosa", "FuriosaAI"},
	{"cambricon", "Cambricon"}, {"google", "Google"}, {"amazon", "Amazon"}, {"axelera", "Axelera"},
	{"memryx", "MemryX"}, {"tenstorrent", "Tenstorrent"}, {"metax", "MetaX"}, {"mthreads", "Moore Threads"},
}

// otherVendor reports whether a resource is of another vendor than a device.
// Where either is unknown, it is not.
func otherVendor(resource, vendor string) bool {
	domain, _, _ := strings.Cut(strings.ToLower(resource), "/")
	of := ""
	known := false
	for _, v := range vendorDomains {
		if of == "" && strings.Contains(domain, v.word) {
			of = v.vendor
		}
		known = known || v.vendor == vendor
	}
	if vendor == "Xilinx" {
		vendor, known = "AMD", true
	}
	return of != "" && known && of != vendor
}

// kindOf returns the kind of device that an extended resource serves. known is
// false for a resource whose name says nothing: its slots may be shares of
// anything (some plugins offer a thousand of one device), so they count as one
// device, of a kind that is named like the resource.
func kindOf(resource string) (kind accel.Kind, known bool) {
	lower := strings.ToLower(resource)
	for _, w := range kindWords {
		if strings.Contains(lower, w.word) {
			return w.kind, true
		}
	}
	_, name, _ := strings.Cut(resource, "/")
	if gpuPart.MatchString(lower) {
		return "GPU", true
	}
	if kind, err := accel.ParseKind(name); err == nil && kind != accel.CPU {
		return kind, false
	}
	return "OTHER", false
}

// isMIG reports whether an id is that of a MIG device, whatever its resource is
// called.
func isMIG(id string) bool { return strings.HasPrefix(id, "MIG-") }

// isMonitoring reports whether a resource only lets its holder watch devices, as
// that of Intel's GPU plugin does.
func isMonitoring(resource string) bool { return strings.HasSuffix(resource, "_monitoring") }

// sharePattern matches an id with the number that plugins append to the name of
// a shared device: card0-1, 0000:00:02.0-1, GPU-1b2c…::1. A UUID also ends in a
// dash and digits and must stay whole, so the pattern lists what may stand before
// a dash.
var sharePattern = regexp.MustCompile(`^((?:card|accel|renderD|region)[0-9]+|[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]|(?:dfl|intel-fpga)-(?:port|fme|dev)\.[0-9]+|(?:usb-)?[0-9]+-[0-9]+(?:\.[0-9]+)*)-[0-9]+$|^(.+)::[0-9]+$`)

// trimShare is the name of the device that a plugin's id is a share of.
func trimShare(id string) string {
	m := sharePattern.FindStringSubmatch(id)
	switch {
	case m == nil:
		return id
	case m[1] != "":
		return m[1]
	default:
		return m[2]
	}
}
