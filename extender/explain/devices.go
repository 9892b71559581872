package explain

import (
	"cmp"
	"fmt"
	"slices"

	"heteroaccel.io/extender/live"
	"heteroaccel.io/extender/placement"
	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/inventory"
)

// deviceView is one device of a node, as JSON.
type deviceView struct {
	Kind     accel.Kind `json:"kind"`
	ID       string     `json:"id"`
	Resource string     `json:"resource,omitempty"`
	Vendor   string     `json:"vendor,omitempty"`
	Model    string     `json:"model,omitempty"`
	Driver   string     `json:"driver,omitempty"`
	// PluginID is what the device plugin or DRA driver calls it.
	PluginID string `json:"pluginID,omitempty"`
	// NUMA is the NUMA node it is attached to, nil when the machine names none.
	NUMA *int `json:"numaNode,omitempty"`
	// Load is the busy fraction of the time between the last two scrapes, 0 to 1;
	// nil if the telemetry is stale or the kernel does not report it.
	Load *float64 `json:"load,omitempty"`
	// Healthy is null if the health is unknown; Reason says why it is not true,
	// where that is known.
	Healthy *bool  `json:"healthy"`
	Reason  string `json:"reason,omitempty"`
	// Slots is how many pods may share the device.
	Slots int `json:"slots"`
	// Allocated is how many slots the kubelet had allocated at the time of the
	// telemetry, -1 if the kubelet could not be asked.
	Allocated int `json:"allocated"`
	// ExternalUse is the command of a process outside Kubernetes that uses it.
	ExternalUse string `json:"externalUse,omitempty"`
	// State is idle, busy, "shared n of m", unhealthy, "external (command)" or
	// unknown.
	State string `json:"state"`
	// Holders are the pods that hold it now.
	Holders []holderView `json:"holders"`

	share live.Share
}

// holderView is a pod that holds slots of a device, without a name if it is not shown.
type holderView struct {
	Namespace string `json:"namespace,omitempty"`
	Pod       string `json:"pod,omitempty"`
	// Container is "" until telemetry shows it.
	Container string `json:"container,omitempty"`
	// Claim is the ResourceClaim through which it has the device, if any.
	Claim string `json:"resourceClaim,omitempty"`
	Slots int64  `json:"slots"`
}

// devicesOf shows the devices of a node's telemetry with the pods that hold them
// now.
//
// The pod informer shows at once who holds a resource. Which of several devices
// of the resource that is, only telemetry shows; until then a pod is returned as
// unmapped.
func devicesOf(n *inventory.Node, fresh bool) (devices []deviceView, unmapped []holderView) {
	if n.Telemetry == nil {
		return []deviceView{}, nil
	}
	alike := map[string]int{}
	for _, d := range n.Telemetry.Devices {
		alike[d.Resource]++
	}
	devices = make([]deviceView, 0, len(n.Telemetry.Devices))
	seen := map[string]bool{}
	for _, d := range n.Telemetry.Devices {
		v := deviceView{
			Kind: d.Kind, ID: d.ID, Resource: d.Resource, Vendor: d.Vendor, Model: d.Model, Driver: d.Driver,
			PluginID: d.PluginID, NUMA: d.NUMA,
			Reason: d.Reason, Slots: d.Slots, Allocated: d.Allocated, ExternalUse: d.ExternalUse,
			Holders: []holderView{},
		}
		if d.Health != accel.HealthUnknown {
			v.Healthy = new(d.Health == accel.Healthy)
		}
		if fresh {
			v.Load = d.Busy
		}
		for _, h := range d.Holders {
			if placement.Among(n.Holders, h) || d.Resource == "" || h.Claim != "" {
				seen[h.Namespace+"/"+h.Pod] = true
				v.Holders = append(v.Holders, holderView{h.Namespace, h.Pod, h.Container, h.Claim, int64(h.Slots)})
			}
		}
		if d.Resource != "" && alike[d.Resource] == 1 {
			for _, p := range holdersOf(n, d.Resource) {
				if !seen[p.Key()] {
					seen[p.Key()] = true
					v.Holders = append(v.Holders, holderView{p.Namespace, p.Name, "", "", p.Needs.Device(d.Resource)})
				}
			}
		}
		v.State, v.share = state(d, v.Holders, fresh)
		devices = append(devices, v)
	}
	for resource := range alike {
		for _, p := range holdersOf(n, resource) {
			if !seen[p.Key()] {
				seen[p.Key()] = true
				unmapped = append(unmapped, holderView{p.Namespace, p.Name, "", "", p.Needs.Device(resource)})
			}
		}
	}
	slices.SortFunc(unmapped, func(a, b holderView) int { return cmp.Compare(a.String(), b.String()) })
	return devices, unmapped
}

// state is the word for a device, and what of it is in use or free. Without fresh
// telemetry, or with unknown health, a device that no pod holds is unknown, not idle: it
// may be unhealthy or in external use.
func state(d accel.Device, holders []holderView, fresh bool) (string, live.Share) {
	var held int64
	for _, h := range holders {
		held += h.Slots
	}
	slots := int64(d.Slots)
	switch {
	case fresh && d.Health == accel.Unhealthy:
		return "unhealthy", live.Share{Total: 1}
	case fresh && d.ExternalUse != "":
		return "external (" + d.ExternalUse + ")", live.Share{Total: 1}
	case held > 0 && slots > 1:
		busy := float64(min(held, slots)) / float64(slots)
		return fmt.Sprintf("shared %d of %d", held, slots), live.Share{Total: 1, Busy: busy, Idle: 1 - busy}
	case held > 0:
		return "busy", live.Share{Total: 1, Busy: 1}
	case !fresh || d.Allocated < 0 || d.Health == accel.HealthUnknown:
		return "unknown", live.Share{Total: 1}
	default:
		return "idle", live.Share{Total: 1, Idle: 1}
	}
}

// holdersOf are the pods bound to a node that hold a resource, by name. What pods hold
// through ResourceClaims counts for the DeviceClasses of these devices.
func holdersOf(n *inventory.Node, resource string) []*inventory.Pod {
	var pods []*inventory.Pod
	for _, p := range n.Holders {
		if p.Holds().Device(resource) > 0 {
			pods = append(pods, p)
		}
	}
	slices.SortFunc(pods, func(a, b *inventory.Pod) int { return cmp.Compare(a.Key(), b.Key()) })
	return pods
}

func (h holderView) String() string {
	if h.Pod == "" {
		return hidden
	}
	return h.Namespace + "/" + h.Pod
}
