package discovery

import (
	"strings"

	"github.com/prometheus/procfs"
)

// cpuVendors are the names of the vendors that processors report (CPUID's vendor id).
var cpuVendors = map[string]string{"GenuineIntel": "Intel", "AuthenticAMD": "AMD"}

// ReadProcessors reads who made the machine's processors, and their model, from
// <proc>/cpuinfo; "" for what it does not say, as on Arm.
func ReadProcessors(proc string) (vendor, model string) {
	fsys, err := procfs.NewFS(proc)
	if err != nil {
		return "", ""
	}
	info, err := fsys.CPUInfo()
	if err != nil || len(info) == 0 {
		return "", ""
	}
	vendor = info[0].VendorID
	if name := cpuVendors[vendor]; name != "" {
		vendor = name
	}
	return vendor, strings.Join(strings.Fields(info[0].ModelName), " ")
}
