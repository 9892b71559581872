package allocation

import (
	"cmp"
	"maps"
	"regexp"
	"slices"
	"strings"

	"heteroaccel.io/exporter/podresources"
	"heteroaccel.io/pkg/accel"
)

// claimed is a device, or the parts of one, that containers hold through a DRA
// driver.
type claimed struct {
	driver, pool, device string
	kind                 accel.Kind
	apart                bool // whether the driver's name says the kind
	claims               []podresources.Claim
}

// name is what DRA calls the device; it is nobody else's in the cluster.
func (c *claimed) name() string { return c.driver + "/" + c.pool + "/" + c.device }

// holders are the containers that hold it, in order, and how often they do. A
// claim can be shared by containers, and a container can have several.
func (c *claimed) holders() (holders []accel.Holder, held int) {
	counts := map[accel.Holder]int{}
	for _, one := range c.claims {
		counts[accel.Holder{Namespace: one.Namespace, Pod: one.Pod, Container: one.Container, Claim: one.Name}]++
	}
	for h, n := range counts {
		h.Slots = n
		holders = append(holders, h)
		held += n
	}
	slices.SortFunc(holders, accel.CompareHolders)
	return holders, held
}

// gatherClaims groups claims by the device they give, in order.
func gatherClaims(claims []podresources.Claim) []*claimed {
	groups := map[string]*claimed{}
	for _, one := range claims {
		kind, apart := kindOf(one.Driver)
		c := &claimed{driver: one.Driver, pool: one.Pool, device: one.Device, kind: kind, apart: apart}
		if have := groups[c.name()]; have != nil {
			c = have
		}
		groups[c.name()] = c
		c.claims = append(c.claims, one)
	}
	return slices.SortedFunc(maps.Values(groups), func(x, y *claimed) int { return cmp.Compare(x.name(), y.name()) })
}

// names are those under which the kernel may know the device: the DRA driver's
// name for it and those of its CDI devices, whole, without the part of a
// device that they name, or a PCI address in them.
func (c *claimed) names() []string {
	texts := []string{c.device}
	for _, one := range c.claims {
		for _, cdi := range one.CDI {
			if _, name, ok := strings.Cut(cdi, "="); ok {
				texts = append(texts, name)
			}
		}
	}
	var out []string
	for _, text := range texts {
		whole := part.ReplaceAllString(text, "")
		out = append(out, c.driver+"/"+whole, whole)
		if m := address.FindStringSubmatch(text); m != nil {
			out = append(out, strings.Join(m[1:], "-"))
		}
	}
	return out
}

var (
	// part matches what NVIDIA's driver writes after the GPU for a part of it.
	part = regexp.MustCompile(`-mig-.*$`)
	// address matches a PCI address in a name, with dashes or as it is.
	address = regexp.MustCompile(`(?:^|[^0-9a-f])([0-9a-f]{4})[-:]([0-9a-f]{2})[-:]([0-9a-f]{2})[-.]([0-7])(?:[^0-9a-f]|$)`)
)
