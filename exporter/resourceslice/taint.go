package resourceslice

import (
	"strings"

	resourceapi "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	"heteroaccel.io/pkg/accel"
)

// Reasons that discovery has no words for.
const (
	noFile = "it has no device file"
	gone   = "the kernel has no such device any more"
)

// faults are the values of the taints that an offer is to have, by their keys.
func (o Offer) faults() map[string]string {
	out := map[string]string{}
	switch {
	case o.Fault != "":
		out[accel.TaintUnhealthy] = o.Fault
	case len(o.Files) == 0:
		out[accel.TaintUnhealthy] = noFile
	}
	if o.UsedBy != "" {
		out[accel.TaintInUse] = o.UsedBy
	}
	return out
}

// taintKeys are in the order of a device's taints.
var taintKeys = []string{accel.TaintUnhealthy, accel.TaintInUse}

// newTaint keeps pods from being scheduled; those that run are left alone.
func newTaint(key, reason string) resourceapi.DeviceTaint {
	return resourceapi.DeviceTaint{Key: key, Value: labelValue(reason), Effect: resourceapi.DeviceTaintEffectNoSchedule}
}

// labelValue writes a sentence as the value of a label: "no-driver-is-bound-to-it".
func labelValue(sentence string) string {
	var b strings.Builder
	gap := false
	for _, r := range sentence {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
			if gap && b.Len() > 0 {
				b.WriteByte('-')
			}
			gap = false
			b.WriteRune(r)
			continue
		}
		gap = gap || r != '\'' // it's: its
	}
	return strings.TrimRight(b.String()[:min(b.Len(), validation.LabelValueMaxLength)], "-")
}
