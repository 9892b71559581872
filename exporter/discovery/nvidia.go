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

// nvidiaUUID matches the device plugin's name of a GPU. The driver writes
// question marks until it has read the UUID from the card.
var nvidiaUUID = regexp.MustCompile(`^GPU-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)

// describeNVIDIA adds what NVIDIA's driver reports of a GPU in
// <proc>/driver/nvidia/gpus/<PCI address>/information (its README, "The /proc
// Interface"): the model, the UUID and the number of the device file. The driver
// has no class of its own: there is a card in class/drm only where nvidia-drm is
// loaded. How busy a GPU is, only NVIDIA's library reports. Errors at run time
// (XIDs) are in the kernel's log, which the device plugin reads: a failed GPU is
// missing from the kubelet's list.
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
				d.Fault = "its driver excludes it"
			}
		}
	}
	return errInstances
}

// countInstances counts the MIG devices that a GPU is divided into, by the
// compute instances of its GPU instances in <proc>/driver/nvidia/capabilities
// (NVIDIA's MIG user guide, "Device Nodes and Capabilities"). Their UUIDs, by
// which a device plugin knows them, only the library reports.
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
