package discovery

import "strings"

// resourceOfDriver is the extended resource under which the devices of a driver
// are usually served. That of an FPGA has its bitstream in the name, so that only
// the kubelet knows it.
var resourceOfDriver = map[string]string{
	"i915":       "gpu.intel.com/i915",
	"xe":         "gpu.intel.com/xe",
	"intel_vpu":  "npu.intel.com/accel",
	"habanalabs": "habana.ai/gaudi",
	"qaic":       "qualcomm.com/qaic",
	"nvidia":     "nvidia.com/gpu",
}

// vendors are the names of PCI vendors.
var vendors = map[string]string{
	"0x1002": "AMD",
	"0x1022": "AMD",
	"0x10de": "NVIDIA",
	"0x1172": "Intel", // Altera
	"0x10ee": "Xilinx",
	"0x17cb": "Qualcomm",
	"0x1da3": "Habana Labs",
	"0x8086": "Intel",
}

// models are the names of PCI devices, from the PCI id database (pci.ids). They
// only describe a device: one that is not listed has its numbers as the model.
// Libraries for Go such as jaypipes/pcidb read the whole database from a
// distribution's file, which the exporter's image does not have.
var models = map[string]string{
	"0x1002 0x740f": "Instinct MI210",
	"0x1002 0x744c": "Radeon RX 7900",
	"0x1002 0x74a1": "Instinct MI300X",
	"0x1022 0x1502": "NPU of Phoenix",
	"0x1022 0x17f0": "NPU of Strix",
	"0x10de 0x1eb8": "Tesla T4",
	"0x10de 0x20f1": "A100 PCIe 40GB",
	"0x10de 0x2204": "GeForce RTX 3090",
	"0x10de 0x2236": "A10",
	"0x10de 0x2330": "H100 SXM5 80GB",
	"0x10de 0x25b6": "A2",
	"0x10de 0x26b9": "L40S",
	"0x10de 0x27b8": "L4",
	"0x17cb 0xa080": "Cloud AI 80",
	"0x17cb 0xa100": "Cloud AI 100",
	"0x1da3 0x0001": "Goya",
	"0x1da3 0x1000": "Gaudi",
	"0x1da3 0x1010": "Gaudi",
	"0x1da3 0x1020": "Gaudi 2",
	"0x8086 0x09c4": "Arria 10 GX",
	"0x8086 0x0b2b": "Stratix 10 SX (PAC D5005)",
	"0x8086 0x0bd5": "Data Center GPU Max 1550",
	"0x8086 0x0bda": "Data Center GPU Max 1100",
	"0x8086 0x3e92": "UHD Graphics 630",
	"0x8086 0x4680": "UHD Graphics 770",
	"0x8086 0x46a6": "Iris Xe Graphics",
	"0x8086 0x46a8": "Iris Xe Graphics",
	"0x8086 0x46d1": "UHD Graphics of Alder Lake-N",
	"0x8086 0x4c8a": "UHD Graphics 750",
	"0x8086 0x56a0": "Arc A770",
	"0x8086 0x56a1": "Arc A750",
	"0x8086 0x56a5": "Arc A380",
	"0x8086 0x56a6": "Arc A310",
	"0x8086 0x56c0": "Data Center GPU Flex 170",
	"0x8086 0x56c1": "Data Center GPU Flex 140",
	"0x8086 0x5917": "UHD Graphics 620",
	"0x8086 0x643e": "NPU of Lunar Lake",
	"0x8086 0x64a0": "Arc Graphics of Lunar Lake",
	"0x8086 0x7d1d": "NPU of Meteor Lake",
	"0x8086 0x7d45": "Graphics of Meteor Lake",
	"0x8086 0x7d55": "Arc Graphics of Meteor Lake",
	"0x8086 0x7d67": "Graphics of Arrow Lake-S",
	"0x8086 0x9a40": "Iris Xe Graphics",
	"0x8086 0x9a49": "Iris Xe Graphics",
	"0x8086 0x9a60": "UHD Graphics of Tiger Lake-H",
	"0x8086 0x9a78": "UHD Graphics of Tiger Lake-LP",
	"0x8086 0xa780": "UHD Graphics 770",
	"0x8086 0xa7a0": "Iris Xe Graphics",
	"0x8086 0xad1d": "NPU of Arrow Lake",
	"0x8086 0xb03e": "NPU of Panther Lake",
	"0x8086 0xe20b": "Arc B580",
	"0x8086 0xe211": "Arc Pro B60",
	"0x8086 0xe212": "Arc Pro B50",
}

// vendorName is a vendor's name, its number for an unknown one.
func vendorName(vendor string) string {
	if name := vendors[vendor]; name != "" {
		return name
	}
	return vendor
}

// modelName is a device's name, "8086:9a49" for an unknown one.
func modelName(vendor, product string) string {
	if name := models[vendor+" "+product]; name != "" {
		return name
	}
	if product == "" {
		return ""
	}
	return strings.TrimPrefix(vendor, "0x") + ":" + strings.TrimPrefix(product, "0x")
}
