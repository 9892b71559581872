package mutate

import (
	"slices"
	"strings"

	"heteroaccel.io/pkg/profile"
)

// openVINODevices are the device names of OpenVINO's plugins, present and past.
var openVINODevices = map[string]bool{
	"CPU": true, "GPU": true, "NPU": true, "VPU": true, "VPUX": true, "MYRIAD": true,
	"HDDL": true, "KEEMBAY": true, "GNA": true, "FPGA": true, "NVIDIA": true,
	"TEMPLATE": true, "AUTO": true, "MULTI": true, "HETERO": true, "BATCH": true,
}

// isDevice reports whether s names an OpenVINO device, so that the value of
// another program's flag of the same name is never taken for one:
//
//   - the name of a plugin, as OpenVINO writes it, with an optional device id
//     (GPU.1, NPU.3720, MYRIAD.1.2-ma2480) and configuration in parentheses
//     (GPU(4));
//   - AUTO:, MULTI:, HETERO: or BATCH: before a comma-separated list of those
//     (a minus, in AUTO:-CPU, leaves one out);
//   - "any", in any case;
//   - the device of one of the profile's variants, so that a profile may
//     introduce names that OpenVINO has not.
func isDevice(s string, p *profile.Profile) bool {
	if s == "" {
		return false
	}
	if isSingleDevice(s) || strings.EqualFold(s, "any") || isVariantDevice(s, p) {
		return true
	}
	mode, list, ok := strings.Cut(s, ":")
	if !ok {
		return false
	}
	switch mode {
	case "AUTO", "MULTI", "HETERO", "BATCH":
	default:
		return false
	}
	for d := range strings.SplitSeq(list, ",") {
		d = strings.TrimPrefix(d, "-")
		if !isSingleDevice(d) && (d == "" || !isVariantDevice(d, p)) {
			return false
		}
	}
	return true
}

// isSingleDevice reports whether s is a plugin's name with an optional id and
// configuration: NAME[.ID][(CONFIG)].
func isSingleDevice(s string) bool {
	if open := strings.IndexByte(s, '('); open >= 0 {
		config, closed := strings.CutSuffix(s[open+1:], ")")
		if !closed || config == "" || strings.ContainsAny(config, "() \t\r\n\"'`$\\") {
			return false
		}
		s = s[:open]
	}
	name, id, hasID := strings.Cut(s, ".")
	// An id begins with a digit: "CPU.txt" is a file.
	if hasID && (id == "" || id[0] < '0' || id[0] > '9' || strings.ContainsFunc(id, notInID)) {
		return false
	}
	return openVINODevices[name]
}

func notInID(r rune) bool {
	return (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && r != '.' && r != '-'
}

func isVariantDevice(s string, p *profile.Profile) bool {
	return slices.ContainsFunc(p.Variants, func(v profile.Variant) bool { return v.Device == s })
}
