package discovery

import (
	"errors"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// nvidia is the name of NVIDIA's own driver.
const nvidia = "nvidia"

// nvidiaUUID is what the device plugin calls a GPU. The driver writes question
// marks while it has not read it from the card.
var nvidiaUUID = regexp.MustCompile(`^GPU-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)

// describeNVIDIA adds what NVIDIA's driver says of a GPU in
// <proc>/driver/nvidia/gpus/<PCI address>/information (its README, "The /proc
// Interface"): its model, its UUID and the number of its device file. The
// driver has no class of its own: only where nvidia-drm is loaded is there a
// card in class/drm. How busy a GPU is it tells through its library alone, and
// what went wrong while it ran (an XID) to the kernel's log, which the device
// plugin reads: the kubelet's list is the word on that.
func describeNVIDIA(m Mounts, d *Device) error {
	text, err := readAttribute(filepath.Join(m.Proc, "driver/nvidia/gpus", d.ID), "information")
	if err != nil {
		return err
	}
	var errInstances error
	for line := range strings.Lines(text) {
		key, value, _ := strings.Cut(line, ":")
		switch value = strings.TrimSpace(value); strings.TrimSpace(key) {
		case "Model":
			if value = strings.TrimSpace(strings.TrimPrefix(value, "NVIDIA")); value != "" && value != "Unknown" {
				d.Model = value
			}
		case "GPU UUID":
			if nvidiaUUID.MatchString(value) {
				d.Names = append(d.Names, value)
			}
		case "Device Minor":
			if minor, err := strconv.ParseUint(value, 10, 16); err == nil {
				number := strconv.FormatUint(minor, 10)
				d.Files = append(d.Files, "/dev/nvidia"+number)
				d.Names = append(d.Names, "gpu.nvidia.com/gpu-"+number) // the DRA driver's
				d.Instances, errInstances = countInstances(m, number)
			}
		case "GPU Excluded":
			if value == "Yes" && d.Fault == "" {
				d.Fault = "its driver was told to leave it alone"
			}
		}
	}
	return errInstances
}

// countInstances counts the MIG devices that a GPU is divided into, by the
// compute instances of its GPU instances in <proc>/driver/nvidia/capabilities
// (NVIDIA's MIG user guide, "Device Nodes and Capabilities"). By which UUID a
// device plugin knows each, only the library tells.
func countInstances(m Mounts, minor string) (int, error) {
	dir := filepath.Join(m.Proc, "driver/nvidia/capabilities/gpu"+minor, "mig")
	parts, err := list(dir, gpuInstance)
	errs := []error{err}
	count := 0
	for _, part := range parts {
		instances, err := list(filepath.Join(dir, part), computeInstance)
		errs = append(errs, err)
		count += len(instances)
	}
	return count, errors.Join(errs...)
}

var (
	gpuInstance     = regexp.MustCompile(`^gi[0-9]+$`)
	computeInstance = regexp.MustCompile(`^ci[0-9]+$`)
)
