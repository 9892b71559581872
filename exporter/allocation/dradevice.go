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

// draDevice is a device, or parts of one, that containers hold through a DRA
// driver.
type draDevice struct {
	driver, pool, device string
	kind                 accel.Kind
	kindKnown            bool // the driver's name says the kind
	claims               []podresources.Claim
}

// name is DRA's name of the device, unique in the cluster.
func (c *draDevice) name() string { return c.driver + "/" + c.pool + "/" + c.device }

// holders are the containers that hold the device, in order, and how often they
// do. Containers can share a claim, and a container can have several.
func (c *draDevice) holders() (holders []accel.Holder, held int) {
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

// groupClaims groups claims by the device that they allocate, in order. It leaves
// out those of the exporter's own driver for the CPU, which is no device here.
func groupClaims(claims []podresources.Claim) []*draDevice {
	devices := map[string]*draDevice{}
	for _, one := range claims {
		kind, known := kindOf(one.Driver)
		if one.Driver == accel.DeviceDriver {
			if one.Device == accel.CPUDevice {
				continue
			}
			// The name begins with the kind: see package resourceslice.
			name, _, _ := strings.Cut(one.Device, "-")
			if own, err := accel.ParseKind(name); err == nil {
				kind, known = own, true
			}
		}
		c := &draDevice{driver: one.Driver, pool: one.Pool, device: one.Device, kind: kind, kindKnown: known}
		if same := devices[c.name()]; same != nil {
			c = same
		}
		devices[c.name()] = c
		c.claims = append(c.claims, one)
	}
	return slices.SortedFunc(maps.Values(devices), func(x, y *draDevice) int { return cmp.Compare(x.name(), y.name()) })
}

// names are the names by which the kernel may know the device: the DRA driver's
// and those of its CDI devices, without the part of a device that they name, and
// a PCI address in them.
func (c *draDevice) names() []string {
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
		whole := migSuffix.ReplaceAllString(text, "")
		out = append(out, c.driver+"/"+whole, whole)
		if m := claimAddress.FindStringSubmatch(text); m != nil {
			out = append(out, strings.Join(m[1:], "-"))
		}
	}
	return out
}

var (
	// migSuffix matches what NVIDIA's driver appends to a GPU's name for a MIG
	// device.
	migSuffix = regexp.MustCompile(`-mig-.*$`)
	// claimAddress matches a PCI address in a name, as it is or with dashes.
	claimAddress = regexp.MustCompile(`(?:^|[^0-9a-f])([0-9a-f]{4})[-:]([0-9a-f]{2})[-:]([0-9a-f]{2})[-.]([0-7])(?:[^0-9a-f]|$)`)
)
