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
	if kind, err := accel.ParseKind(name); err == nil && kind != accel.CPU {
		return kind, false
	}
	return "OTHER", false
}

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
