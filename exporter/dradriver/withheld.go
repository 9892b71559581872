package dradriver

import (
	"heteroaccel.io/pkg/accel"
)

// Reason is why a kind is not published, as in metrics.
type Reason string

// The reasons.
const (
	NodeUnread     Reason = "node_unread"
	NoCDI          Reason = "runtime_without_cdi"
	PluginServes   Reason = "device_plugin"
	DriverServes   Reason = "other_driver"
	CannotBeShared Reason = "no_consumable_capacity"
)

// Withheld is why a kind is not published: the reason, and a sentence.
type Withheld struct {
	Reason   Reason
	Sentence string
}

// sources are what decides which kinds are published.
type sources struct {
	node *node // nil if it could not be read
	// lacksCDI is why the container runtime would ignore the driver's files, "" if
	// it would not.
	lacksCDI string
	// plugins and drivers are who else serves a kind: a resource of a device plugin,
	// another DRA driver.
	plugins, drivers map[accel.Kind]string
	// dropped are the features that the API server lacks.
	dropped map[string]bool
}

// consumableCapacity is the feature without which a device is one claim's alone.
const consumableCapacity = "DRAConsumableCapacity"

// deviceTaints is the feature without which an unusable device can only be left out.
const deviceTaints = "DRADeviceTaints"

// withhold returns which of the kinds are not published. CPU is shared by any number,
// and by nobody else's plugin.
func withhold(kinds []accel.Kind, s sources) map[accel.Kind]Withheld {
	out := map[accel.Kind]Withheld{}
	for _, kind := range kinds {
		switch {
		case s.node == nil:
			out[kind] = Withheld{NodeUnread, "the node could not be read yet"}
		case s.lacksCDI != "":
			out[kind] = Withheld{NoCDI, s.lacksCDI}
		case kind == accel.CPU && s.dropped[consumableCapacity]:
			out[kind] = Withheld{CannotBeShared, "the API server has the feature " + consumableCapacity + " switched off, so that one pod would have all processors"}
		case kind == accel.CPU:
		case s.plugins[kind] != "":
			out[kind] = Withheld{PluginServes, "a device plugin serves " + s.plugins[kind] + ": remove it from this node, or the kind from --drive"}
		case s.drivers[kind] != "":
			out[kind] = Withheld{DriverServes, "the DRA driver " + s.drivers[kind] + " serves this kind: remove the kind from --drive"}
		}
	}
	return out
}
