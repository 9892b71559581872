package dra

import (
	"maps"
	"unique"

	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/types"

	"heteroaccel.io/pkg/inventory"
)

// claim is what is kept of an allocated ResourceClaim.
type claim struct {
	pod         string
	uid         types.UID
	forExtended bool
	results     []result
	// told is what the inventory was told last, nil before the first time.
	told *inventory.Allocation
}

// result is an allocated device, and what is consumed of it: nil for all.
type result struct {
	id
	consumed map[resourcev1.QualifiedName]resource.Quantity
}

// claimOf reads a ResourceClaim, nil for one that is not allocated. No more is read
// than the API server accepts.
func claimOf(c *resourcev1.ResourceClaim) *claim {
	if c.Status.Allocation == nil {
		return nil
	}
	out := &claim{forExtended: c.Annotations[resourcev1.ExtendedResourceClaimAnnotation] == "true"}
	if of := c.Status.ReservedFor; len(of) == 1 && of[0].APIGroup == corev1.GroupName && of[0].Resource == string(corev1.ResourcePods) {
		out.pod, out.uid = of[0].Name, of[0].UID
	}
	results := c.Status.Allocation.Devices.Results
	for _, r := range results[:min(len(results), resourcev1.AllocationResultsMaxSize)] {
		if r.AdminAccess != nil && *r.AdminAccess {
			continue // it takes nothing
		}
		kept := result{id: id{unique.Make(r.Driver).Value(), unique.Make(r.Pool).Value(), unique.Make(r.Device).Value()}}
		if n := len(r.ConsumedCapacity); n > 0 && n <= resourcev1.ResourceSliceMaxAttributesAndCapacitiesPerDevice {
			kept.consumed = maps.Clone(r.ConsumedCapacity)
		}
		out.results = append(out.results, kept)
	}
	return out
}
