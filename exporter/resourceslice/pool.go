package resourceslice

import (
	"slices"

	resourceapi "k8s.io/api/resource/v1"
	lib "k8s.io/dynamic-resource-allocation/resourceslice"
)

// Pool puts devices into slices, as few as the API allows. Without devices it has one
// empty slice, which tells that the driver runs.
func Pool(devices []resourceapi.Device) lib.Pool {
	pool := lib.Pool{}
	// As many as a slice may have of devices with taints.
	for chunk := range slices.Chunk(devices, resourceapi.ResourceSliceMaxDevicesWithAdvancedFeatures) {
		pool.Slices = append(pool.Slices, lib.Slice{Devices: chunk})
	}
	if len(pool.Slices) == 0 {
		pool.Slices = []lib.Slice{{}}
	}
	return pool
}
