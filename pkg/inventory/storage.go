package inventory

import (
	"fmt"
	"slices"
	"strings"
	"unique"

	"k8s.io/apimachinery/pkg/types"
)

// storage is what is known of volumes and volume claims. Either may come first.
type storage struct {
	// volumes are by name, only those that cannot be used on every node.
	volumes map[string]*Volume
	// bound has the volume's name of each volume claim that is bound to one.
	bound map[types.NamespacedName]string
	// unboundPods are the pods with volume claims that are not bound to a node.
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

// DeleteVolume removes a volume.
func (inv *Inventory) DeleteVolume(name string) { inv.SetVolume(&Volume{Name: name}) }

// SetVolumeClaim takes a new or changed volume claim, with the name of its
// volume, "" while it is not bound to one.
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

// DeleteVolumeClaim removes a volume claim.
func (inv *Inventory) DeleteVolumeClaim(namespace, name string) {
	inv.SetVolumeClaim(namespace, name, "")
}

// resolveVolumes updates the constraints of all pods that volumes constrain.
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

// withVolumes is p with the constraints that its bound volume claims add.
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

// constrainToVolumes adds to a pod's own constraints those of the volumes that
// its claims are bound to. An unbound claim adds none: it gets a volume for the
// node that the scheduler chooses.
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

// VolumeConflict is the name of a volume that cannot be used on a node, "" when
// all can.
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

// withVolumes is c with volumes added; c may be nil, and has none yet.
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
		// The encoding of the rest never has a field number 0.
		fmt.Fprintf(&key, "\x00%d %s", len(v.key), v.key)
	}
	all.key = key.String()
	return &all
}

// equal reports whether both were read from the same; both may be nil.
func (c *Constraints) equal(o *Constraints) bool {
	return c == o || c != nil && o != nil && c.key == o.key
}
