package discovery

import "strings"

// resourceOfDriver is the extended resource under which the device plugin for
// a driver serves its devices. For FPGAs only the kubelet knows: the name has
// the bitstream in it.
var resourceOfDriver = map[string]string{
	"i915":      "gpu.intel.com/i915",
	"xe":        "gpu.intel.com/xe",
	"intel_vpu": "npu.intel.com/accel",
	"nvidia":    "nvidia.com/gpu",
}

// vendors are PCI vendors in words.
var vendors = map[string]string{
	"0x1002": "AMD",
	"0x1022": "AMD",
	"0x10de": "NVIDIA",
	"0x1172": "Intel", // Altera
	"0x10ee": "Xilinx",
	"0x8086": "Intel",
}

// models are PCI vendors and devices in words, from the PCI id database.
var models = map[string]string{
	"0x8086 0x09c4": "Arria 10 GX",
	"0x8086 0x3e92": "UHD Graphics 630",
	"0x8086 0x46a6": "Iris Xe Graphics",
	"0x8086 0x56a0": "Arc A770",
	"0x8086 0x56c0": "Data Center GPU Flex 170",
	"0x8086 0x643e": "NPU of Lunar Lake",
	"0x8086 0x7d1d": "NPU of Meteor Lake",
	"0x8086 0x7d55": "Arc Graphics of Meteor Lake",
	"0x8086 0x9a49": "Iris Xe Graphics",
	"0x8086 0xad1d": "NPU of Arrow Lake",
}

// vendorName is a vendor in words, its number where no words are known.
func vendorName(vendor string) string {
	if name := vendors[vendor]; name != "" {
		return name
	}
	return vendor
}

// modelName is a model in words, "8086:9a49" where no words are known.
func modelName(vendor, product string) string {
	if name := models[vendor+" "+product]; name != "" {
		return name
	}
	if product == "" {
		return ""
	}
	return strings.TrimPrefix(vendor, "0x") + ":" + strings.TrimPrefix(product, "0x")
}
