package explain

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/inventory"
)

// claimView is the ResourceClaim by which a pod that is bound late gets its device, as
// JSON.
type claimView struct {
	Name string `json:"name"`
	// Allocated is whether kube-scheduler has allocated devices to it, null where that is
	// not watched.
	Allocated *bool `json:"allocated"`
	// Devices are these, each "driver/pool/device", and Node is where they are.
	Devices []string `json:"devices"`
	Node    string   `json:"node,omitempty"`
}

// viewClaim is the claim of a pod, nil for one that is bound early.
func (s *Pages) viewClaim(p *inventory.Pod) *claimView {
	if p.Claim == "" {
		return nil
	}
	v := &claimView{Name: p.Claim, Devices: []string{}}
	if !s.Claims {
		return v
	}
	a, ok := s.Inventory.Allocation(p.Namespace, p.Claim)
	v.Allocated = new(ok || p.Allocated())
	v.Devices, v.Node = append(v.Devices, a.Devices...), a.Node
	return v
}

func (v *claimView) String() string {
	switch {
	case v.Allocated == nil:
		return v.Name + ": what it has is not watched, see --resource-claims"
	case !*v.Allocated:
		return v.Name + ": kube-scheduler has allocated nothing to it"
	case len(v.Devices) == 0:
		return v.Name + ": it was allocated, and is gone"
	}
	return v.Name + ": " + strings.Join(v.Devices, ", ") + " of node " + cmp.Or(v.Node, "unknown")
}

// classKinds maps each DeviceClass to the kinds that it is for in any profile, sorted.
func (s *Pages) classKinds() map[string][]accel.Kind {
	kinds := map[string][]accel.Kind{}
	for _, p := range s.Profiles.All() {
		for _, v := range p.Variants {
			if v.Class != "" && !slices.Contains(kinds[v.Class], v.Kind) {
				kinds[v.Class] = append(kinds[v.Class], v.Kind)
			}
		}
	}
	for _, of := range kinds {
		slices.Sort(of)
	}
	return kinds
}

// amountText is so many of a resource, in words: devices of a DeviceClass are counted by a
// name that nobody requests them by.
func amountText(n int64, resource string) string {
	if class, ok := accel.ClassOf(resource); ok {
		return count(int(n), "device") + " of DeviceClass " + class
	}
	return fmt.Sprintf("%d %s", n, resource)
}
