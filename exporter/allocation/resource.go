package allocation

import (
	"regexp"
	"strings"

	"heteroaccel.io/pkg/accel"
)

// words are parts of an extended resource's name that say which kind of device
// is behind it, in the order in which they are looked for.
var words = []struct {
	word string
	kind accel.Kind
}{
	{"fpga", "FPGA"},
	{"npu", "NPU"},
	{"vpu", "NPU"},
	{"gpu", "GPU"},
}

// gpuPart matches the resources that parts of GPUs are served as under names of
// their own: NVIDIA's MIG devices, and AMD's partitions by compute and memory.
var gpuPart = regexp.MustCompile(`^nvidia\.com/mig-|^amd\.com/[sdtqc]px(_nps[0-9]+)?$`)

// makers are words in the domain of a resource that say whose devices it has,
// as discovery calls the maker.
var makers = []struct{ word, maker string }{
	{"intel", "Intel"}, {"altera", "Intel"}, {"nvidia", "NVIDIA"}, {"amd.com", "AMD"}, {"xilinx", "AMD"},
	{"habana", "Habana Labs"}, {"qualcomm", "Qualcomm"},
	{"hailo", "Hailo"}, {"huawei", "Huawei"}, {"rebellions", "Rebellions"}, {"furiosa", "FuriosaAI"},
	{"cambricon", "Cambricon"}, {"google", "Google"}, {"amazon", "Amazon"}, {"axelera", "Axelera"},
	{"memryx", "MemryX"}, {"tenstorrent", "Tenstorrent"}, {"metax", "MetaX"}, {"mthreads", "Moore Threads"},
}

// foreign tells whether a resource is of another maker than a device.
func foreign(resource, vendor string) bool {
	domain, _, _ := strings.Cut(strings.ToLower(resource), "/")
	of := ""
	known := false
	for _, m := range makers {
		if of == "" && strings.Contains(domain, m.word) {
			of = m.maker
		}
		known = known || m.maker == vendor
	}
	if vendor == "Xilinx" {
		vendor, known = "AMD", true
	}
	return of != "" && known && of != vendor
}

// kindOf returns the kind that an extended resource serves. apart is false for
// a resource whose name says nothing: its slots may be shares of anything (some
// plugins offer a thousand of one device), so they count as one device, of a
// kind that is named like the resource.
func kindOf(resource string) (kind accel.Kind, apart bool) {
	lower := strings.ToLower(resource)
	for _, w := range words {
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

// isPart tells whether an id is one of a part of a GPU, whatever its resource is
// called: nvidia.com/mig-1g.10gb has those of MIG devices.
func isPart(id string) bool { return strings.HasPrefix(id, "MIG-") }

// monitoring tells whether a resource only lets its holder watch devices, as
// that of Intel's GPU plugin does.
func monitoring(resource string) bool { return strings.HasSuffix(resource, "_monitoring") }

// share matches the number that plugins append to the name of a device that
// they serve several times over: card0-1, 0000:00:02.0-1, GPU-1b2c…::1. A UUID
// ends in one dash and digits too and must stay whole, hence what may stand
// before the dash.
var share = regexp.MustCompile(`^((?:card|accel|renderD|region)[0-9]+|[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]|(?:dfl|intel-fpga)-(?:port|fme|dev)\.[0-9]+|(?:usb-)?[0-9]+-[0-9]+(?:\.[0-9]+)*)-[0-9]+$|^(.+)::[0-9]+$`)

// unshared is the name of the device of which a plugin's id is a share.
func unshared(id string) string {
	m := share.FindStringSubmatch(id)
	switch {
	case m == nil:
		return id
	case m[1] != "":
		return m[1]
	default:
		return m[2]
	}
}
