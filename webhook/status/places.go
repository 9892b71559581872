package status

import (
	"cmp"
	"fmt"
	"slices"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/inventory"
	"heteroaccel.io/pkg/profile"
	"heteroaccel.io/pkg/resources"
)

// place is what a node has where a variant can run.
type place struct {
	needs  resources.Amounts
	labels map[string]string
}

// placesOf are the alternatives of a variant: its extended resource where its pods are
// bound early, a device of its class where they are bound late, both where either may be.
// binding is that of profiles that do not say.
func placesOf(p *profile.Profile, v *profile.Variant, binding profile.Binding) []place {
	if binding != "" && binding != profile.Early {
		binding = cmp.Or(p.Binding, binding)
	}
	var places []place
	late := p.LateVariant(v.Kind)
	if late != nil && (binding == profile.Late || binding == profile.Auto) {
		needs := resources.Of(v.Spec.Limits)
		needs.Devices = nil
		if v.Kind != accel.CPU {
			needs = needs.With(accel.ClassResource(late.Class), 1)
		}
		places = append(places, place{needs, v.Spec.Selector()})
	}
	if len(places) == 0 || binding == profile.Auto && (v.Kind == accel.CPU || len(v.Devices) > 0) {
		needs := resources.Of(v.Spec.Limits)
		if v.Kind != accel.CPU && len(v.Devices) == 0 { // only a class, where pods are bound early
			return nil
		}
		places = append(places, place{needs, v.Spec.Selector()})
	}
	return places
}

// counter counts nodes; the same question is answered once.
func counter(nodes []*inventory.Node) func(...place) int {
	known := map[string]int{}
	return func(places ...place) int {
		key := fmt.Sprint(places)
		n, ok := known[key]
		if !ok {
			for _, node := range nodes {
				if slices.ContainsFunc(places, func(p place) bool { return node.Has(p.needs, p.labels) }) {
					n++
				}
			}
			known[key] = n
		}
		return n
	}
}

// imagesOf are the images of variants.
func imagesOf(p *profile.Profile) []string {
	names := make([]string, len(p.Variants))
	for i, v := range p.Variants {
		names[i] = v.Spec.Image
	}
	return names
}

// kindsOf maps each kind of a profile to how many nodes have what its variant takes.
func kindsOf(p *profile.Profile, count func(...place) int, binding profile.Binding) map[accel.Kind]int {
	nodes := make(map[accel.Kind]int, len(p.Variants))
	for _, v := range p.Variants {
		nodes[v.Kind] = count(placesOf(p, &v, binding)...)
	}
	return nodes
}
