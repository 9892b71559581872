package inventory

import (
	"fmt"
	"slices"
	"strings"
	"unique"

	"k8s.io/apimachinery/pkg/types"
)

// storage is what is known of claims and volumes. A claim or volume may come
// before the other.
type storage struct {
	// volumes are by name, those alone that cannot be used on every node.
	volumes map[string]*Volume
	// bound have the name of the volume that each bound claim is bound to.
	bound map[types.NamespacedName]string
	// unboundPods are the unbound pods that name claims.
	unboundPods map[types.NamespacedName]struct{}
}

func newStorage() storage {
	return storage{map[string]*Volume{}, map[types.NamespacedName]string{}, map[types.NamespacedName]struct{}{}}
}

// SetVolume takes a new or changed volume.
func (inv *Inventory) SetVolume(v *Volume) {
	inv.mu.Lock()
	defer inv.mu.Unlock()
	old := inv.storage.volumes[v.Name]
	if v.key == "" {
		v = nil
	}
	switch {
	case v == nil && old == nil, v != nil && old != nil && v.key == old.key:
		return
	case v == nil:
		delete(inv.storage.volumes, old.Name)
	default:
		inv.storage.volumes[v.Name] = v
	}
	inv.resolveVolumes()
}

// DeleteVolume takes a volume's leaving.
func (inv *Inventory) DeleteVolume(name string) { inv.SetVolume(&Volume{Name: name}) }

// SetVolumeClaim takes a new or changed claim, with the name of its volume, "" while
// it is not bound.
func (inv *Inventory) SetVolumeClaim(namespace, name, volume string) {
	inv.mu.Lock()
	defer inv.mu.Unlock()
	claim := types.NamespacedName{Namespace: unique.Make(namespace).Value(), Name: name}
	old := inv.storage.bound[claim]
	if old == volume {
		return
	}
	if volume == "" {
		delete(inv.storage.bound, claim)
	} else {
		inv.storage.bound[claim] = volume
	}
	if inv.storage.volumes[old] != nil || inv.storage.volumes[volume] != nil {
		inv.resolveVolumes()
	}
}

// DeleteVolumeClaim takes a claim's leaving.
func (inv *Inventory) DeleteVolumeClaim(namespace, name string) {
	inv.SetVolumeClaim(namespace, name, "")
}

// resolveVolumes looks anew at where the unbound pods may go that name claims.
func (inv *Inventory) resolveVolumes() {
	for name := range inv.storage.unboundPods {
		if old := inv.pods[name]; old != nil {
			if p := inv.withVolumes(old); p != old {
				inv.replacePod(name, p)
			}
		}
	}
	inv.wake()
}

// withVolumes is p with the constraints that its bound claims add.
func (inv *Inventory) withVolumes(p *Pod) *Pod {
	if len(p.volumeClaims) == 0 {
		return p
	}
	c := inv.constrainToVolumes(p.Namespace, p.ownConstraints, p.volumeClaims)
	if c.equal(p.Constraints) {
		return p
	}
	m := *p
	m.Constraints = c
	return &m
}

// constrainToVolumes adds to a pod's own constraints those of the volumes that its claims
// are bound to. Claims that are not bound yet add none: the scheduler has them
// bound to a volume for the node it chose.
func (inv *Inventory) constrainToVolumes(namespace string, own *Constraints, claims []string) *Constraints {
	var volumes []*Volume
	for _, name := range claims {
		v := inv.storage.volumes[inv.storage.bound[types.NamespacedName{Namespace: namespace, Name: name}]]
		if v != nil && !slices.Contains(volumes, v) {
			volumes = append(volumes, v)
		}
	}
	return own.withVolumes(volumes)
}

// VolumeConflict names the volume that keeps the pod off a node, "" for none.
func (c *Constraints) VolumeConflict(n *Node) string {
	if c == nil || n.traits == nil {
		return ""
	}
	for _, v := range c.volumes {
		if !v.allows(n.traits.labels) {
			return v.Name
		}
	}
	return ""
}

// withVolumes is c and the volumes; c may be nil, and has none yet.
func (c *Constraints) withVolumes(volumes []*Volume) *Constraints {
	if len(volumes) == 0 {
		return c
	}
	var all Constraints
	if c != nil {
		all = *c
	}
	all.volumes = volumes
	var key strings.Builder
	key.WriteString(all.key)
	for _, v := range volumes {
		// No encoding of the rest has a field of number 0.
		fmt.Fprintf(&key, "\x00%d %s", len(v.key), v.key)
	}
	all.key = key.String()
	return &all
}

// equal reports whether both allow the same, to the letter; both may be nil.
func (c *Constraints) equal(o *Constraints) bool {
	return c == o || c != nil && o != nil && c.key == o.key
}
