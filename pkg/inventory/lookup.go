package inventory

import (
	"cmp"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// Lookup returns the records of the named nodes, in their order; nil for one
// that is unknown.
func (inv *Inventory) Lookup(names []string) []*Node {
	found := make([]*Node, len(names))
	inv.mu.Lock()
	defer inv.mu.Unlock()
	for i, name := range names {
		if n := inv.nodes[name]; n != nil && n.known {
			found[i] = n
		}
	}
	return found
}

// Offers reports whether the API server has shown a node that has devices of an
// extended resource, healthy or not, or any node of that name for "".
func (inv *Inventory) Offers(node, resource string) bool {
	n := inv.Lookup([]string{node})[0]
	return n != nil && (resource == "" || n.Capacity.Device(resource) > 0)
}

// Nodes returns the records of all nodes, by name.
func (inv *Inventory) Nodes() []*Node {
	inv.mu.Lock()
	nodes := make([]*Node, 0, len(inv.nodes))
	for _, n := range inv.nodes {
		if n.known {
			nodes = append(nodes, n)
		}
	}
	inv.mu.Unlock()
	slices.SortFunc(nodes, func(a, b *Node) int { return cmp.Compare(a.Name, b.Name) })
	return nodes
}

// Pod returns the record of a pod, or nil.
func (inv *Inventory) Pod(namespace, name string) *Pod {
	inv.mu.Lock()
	defer inv.mu.Unlock()
	return inv.pods[types.NamespacedName{Namespace: namespace, Name: name}]
}

// Managed returns the pods that the webhook admitted, by namespace and name.
func (inv *Inventory) Managed() []*Pod {
	inv.mu.Lock()
	var pods []*Pod
	for _, p := range inv.pods {
		if p.Managed != nil {
			pods = append(pods, p)
		}
	}
	inv.mu.Unlock()
	slices.SortFunc(pods, func(a, b *Pod) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
	return pods
}

// MaxTelemetryAge is how old telemetry may be and still count.
func (inv *Inventory) MaxTelemetryAge() time.Duration { return inv.opts.MaxTelemetryAge }

// Now is the inventory's clock.
func (inv *Inventory) Now() time.Time { return inv.opts.Now() }
