package deviceflag

import (
	"strings"

	"heteroaccel.io/pkg/profile"
)

// openVINODevices are the device names of OpenVINO's plugins, present and past.
var openVINODevices = map[string]bool{
	"CPU": true, "GPU": true, "NPU": true, "VPU": true, "VPUX": true, "MYRIAD": true,
	"HDDL": true, "KEEMBAY": true, "GNA": true, "FPGA": true, "NVIDIA": true,
	"TEMPLATE": true, "AUTO": true, "MULTI": true, "HETERO": true, "BATCH": true,
}

// deviceFor returns what a flag's value becomes for a variant whose device is
// dev; ok is false when the value is no device, or one that dev cannot replace.
//
// Programs that name devices with their vendor (intel:gpu) know only that form:
// vendor and case stay, and a plain device replaces the name alone, intel:npu; a
// list or a configuration cannot.
func (l *CommandLine) deviceFor(was, dev string) (now string, ok bool) {
	if isDevice(was, l.profile) {
		return dev, true
	}
	vendor, name, ok := ofVendor(was, l.profile)
	if !ok {
		return "", false
	}
	if _, _, same := ofVendor(dev, l.profile); same {
		return dev, true
	}
	if !isSingleDevice(dev) || strings.Contains(dev, "(") {
		return "", false
	}
	if name == strings.ToLower(name) {
		dev = strings.ToLower(dev)
	}
	return vendor + ":" + dev, true
}

// ofVendor splits VENDOR:NAME, whatever its case: a vendor that programs are known
// to write, or that a variant's device has, and a device's name. Any other a:b
// may be an image and its tag.
func ofVendor(s string, p *profile.Profile) (vendor, name string, ok bool) {
	vendor, name, ok = strings.Cut(s, ":")
	if !ok || !isVendor(vendor, p) || !isSingleDevice(strings.ToUpper(name)) || strings.Contains(name, "(") {
		return "", "", false
	}
	return vendor, name, true
}

func isVendor(s string, p *profile.Profile) bool {
	if strings.EqualFold(s, "intel") {
		return true
	}
	for i := range p.Variants {
		of, _, has := strings.Cut(p.Variants[i].Device, ":")
		if has && strings.EqualFold(of, s) && !modes[of] {
			return true
		}
	}
	return false
}

// modes are OpenVINO's devices that run on other devices.
var modes = map[string]bool{"AUTO": true, "MULTI": true, "HETERO": true, "BATCH": true}

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
//     introduce names that OpenVINO does not have.
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
	if !modes[mode] {
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
	for i := range p.Variants {
		if p.Variants[i].Device == s {
			return true
		}
	}
	return false
}

// namedDevices appends to names the devices that s names and nothing else, upper case
// and without ids, whether written for OpenVINO or another program: GPU,
// AUTO:GPU,CPU, intel:gpu.0, cuda:0. It returns nil for any other text. A mode
// alone, AUTO, is a device when modeToo is set: the word is common.
//
// It is called for every word of a pod, hardly any of which is a device, and so
// allocates nothing for one that is not.
func namedDevices(names []string, s string, p *profile.Profile, modeToo bool) []string {
	if s == "" || len(s) > maxDeviceLength {
		return nil
	}
	if mode, list, ok := strings.Cut(s, ":"); ok && modes[mode] {
		s = list
	} else if _, name, ok := ofVendor(s, p); ok {
		s = name
	} else if modeToo && (modes[s] || strings.EqualFold(s, "any")) {
		return append(names, strings.ToUpper(s))
	}
	for d := range strings.SplitSeq(s, ",") {
		name, _, _ := strings.Cut(strings.TrimPrefix(d, "-"), "(")
		name, id, hasID := strings.Cut(name, ".")
		if hasID && (id == "" || id[0] < '0' || id[0] > '9') {
			return nil
		}
		if cuda, _, ok := strings.Cut(name, ":"); ok && strings.EqualFold(cuda, "CUDA") {
			name = cuda
		}
		known := knownDevice(name)
		if known == "" && isVariantDevice(d, p) {
			known = strings.ToUpper(name)
		}
		if known == "" || modes[known] || known == "TEMPLATE" {
			return nil
		}
		names = append(names, known)
	}
	return names
}

// knownDevices are the names of devices in OpenVINO and in other programs, each by
// itself.
var knownDevices = func() map[string]string {
	names := map[string]string{}
	for _, name := range []string{"CUDA", "XPU", "TPU", "IGPU", "DGPU", "ROCM"} {
		names[name] = name
	}
	for name := range openVINODevices {
		names[name] = name
	}
	return names
}()

// knownDevice is the name of knownDevices that s is, whatever its case; "" for none.
func knownDevice(s string) string {
	var upper [8]byte // TEMPLATE
	if len(s) > len(upper) {
		return ""
	}
	for i := range len(s) {
		c := s[i]
		if 'a' <= c && c <= 'z' {
			c -= 'a' - 'A'
		}
		upper[i] = c
	}
	return knownDevices[string(upper[:len(s)])]
}

// mayBeDevice reports whether the value of a device flag may be a device although
// it is no known one: a variable, or text with a device's name in it. A path is
// none.
func mayBeDevice(value string) bool {
	if strings.ContainsAny(value, "$`") {
		return true
	}
	if strings.Contains(value, "/") {
		return false
	}
	value = strings.ToUpper(value)
	for name := range openVINODevices {
		if name != "TEMPLATE" && !modes[name] && strings.Contains(value, name) {
			return true
		}
	}
	return strings.Contains(value, "CUDA") || strings.Contains(value, "XPU")
}
