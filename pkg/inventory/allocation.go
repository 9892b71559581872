package inventory

import (
	"slices"

	"k8s.io/apimachinery/pkg/types"

	"heteroaccel.io/pkg/resources"
)

// Allocation is a ResourceClaim to which kube-scheduler has allocated devices of a
// node. It holds them from then on until it is deallocated, whatever its pod does.
type Allocation struct {
	// Namespace and Name are the ResourceClaim's.
	Namespace, Name string
	// Pod and UID are of the only pod that the claim is reserved for; "" while it is
	// reserved for none, and where several share it.
	Pod string
	UID types.UID
	// ForExtended is set where kube-scheduler made the claim for extended resources
	// that the pod requests.
	ForExtended bool
	// Node is where the devices are, "" where that is not known: then nothing is held.
	Node string
	// Holds are the slots that it takes, for every DeviceClass that selects its devices.
	Holds resources.Amounts
	// Devices are what was allocated, in the scheduler's order, each "driver/pool/device",
	// which is unique in the cluster.
	Devices []string
}

func (a *Allocation) equal(o *Allocation) bool {
	if a == nil || o == nil {
		return a == o
	}
	return a.name() == o.name() && a.pod() == o.pod() && a.UID == o.UID && a.ForExtended == o.ForExtended && a.Node == o.Node && a.Holds.Equal(o.Holds) &&
		slices.Equal(a.Devices, o.Devices)
}

func (a *Allocation) name() types.NamespacedName {
	return types.NamespacedName{Namespace: a.Namespace, Name: a.Name}
}

func (a *Allocation) pod() types.NamespacedName {
	return types.NamespacedName{Namespace: a.Namespace, Name: a.Pod}
}

// allocations are what is known of ResourceClaims. They and their pods come in any
// order.
type allocations struct {
	byName map[types.NamespacedName]*Allocation
	// ofPod are those with a pod, by its name, whatever its UID.
	ofPod map[types.NamespacedName][]*Allocation
	// late are the names of the pods with a Claim, by that claim.
	late map[types.NamespacedName][]string
}

func newAllocations() allocations {
	return allocations{map[types.NamespacedName]*Allocation{}, map[types.NamespacedName][]*Allocation{}, map[types.NamespacedName][]string{}}
}

// SetAllocation takes a ResourceClaim that is allocated, or allocated differently than
// before.
func (inv *Inventory) SetAllocation(a Allocation) {
	inv.mu.Lock()
	defer inv.mu.Unlock()
	inv.replaceAllocation(a.name(), &a)
}

// DeleteAllocation takes it that a ResourceClaim is not allocated, or gone.
func (inv *Inventory) DeleteAllocation(namespace, name string) {
	inv.mu.Lock()
	defer inv.mu.Unlock()
	inv.replaceAllocation(types.NamespacedName{Namespace: namespace, Name: name}, nil)
}

// Allocation returns what is allocated to a ResourceClaim, ok false for one that is not,
// or not known.
func (inv *Inventory) Allocation(namespace, name string) (a Allocation, ok bool) {
	inv.mu.Lock()
	defer inv.mu.Unlock()
	known := inv.allocations.byName[types.NamespacedName{Namespace: namespace, Name: name}]
	if known == nil {
		return Allocation{}, false
	}
	return *known, true
}

// replaceAllocation replaces the allocation of a name by a, nil for none. What its
// pods count themselves changes in the same step, so that no device is counted twice
// in between, nor looks free.
func (inv *Inventory) replaceAllocation(name types.NamespacedName, a *Allocation) {
	known := &inv.allocations
	old := known.byName[name]
	if a.equal(old) {
		return
	}
	var e nodeEdit
	pods := slices.Clone(known.late[name])
	if old != nil {
		delete(known.byName, name)
		inv.addAllocation(&e, old, -1)
		if old.Pod != "" {
			pods = append(pods, old.Pod)
			drop(known.ofPod, old.pod(), old)
		}
	}
	if a != nil {
		known.byName[name] = a
		inv.addAllocation(&e, a, 1)
		if a.Pod != "" {
			pods = append(pods, a.Pod)
			known.ofPod[a.pod()] = append(known.ofPod[a.pod()], a)
		}
	}
	for _, pod := range pods {
		key := types.NamespacedName{Namespace: name.Namespace, Name: pod}
		if p := inv.pods[key]; p != nil {
			if m := inv.withAllocations(p, p); m != p {
				inv.replacePodIn(&e, key, m)
			}
		}
	}
	inv.putEdited(&e)
}

// drop removes a value from a list in a map, and the list with its last.
func drop[K, V comparable](m map[K][]V, key K, value V) {
	left := slices.DeleteFunc(m[key], func(v V) bool { return v == value })
	if len(left) == 0 {
		delete(m, key)
		return
	}
	m[key] = left
}

// addAllocation adds an allocation to its node or, with sign -1, removes it.
func (inv *Inventory) addAllocation(e *nodeEdit, a *Allocation, sign int64) {
	if a.Node == "" {
		return
	}
	m := *inv.edited(e, a.Node)
	m.allocations += sign
	m.Held = m.Held.Plus(a.Holds, sign)
	e.put(&m)
}

// indexLate updates which pods there are with a Claim when p takes the place of old;
// either may be nil.
func (inv *Inventory) indexLate(old, p *Pod) {
	if old != nil && p != nil && old.Claim == p.Claim {
		return
	}
	if old != nil && old.Claim != "" {
		drop(inv.allocations.late, old.claimName(), old.Name)
	}
	if p != nil && p.Claim != "" {
		key := p.claimName()
		inv.allocations.late[key] = append(inv.allocations.late[key], p.Name)
	}
}

func (p *Pod) claimName() types.NamespacedName {
	return types.NamespacedName{Namespace: p.Namespace, Name: p.Claim}
}
