package cdi

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/types"
	specs "tags.cncf.io/container-device-interface/specs-go"

	"heteroaccel.io/pkg/accel"
)

// kind is that of our CDI devices: vendor and class.
const (
	vendor = accel.DeviceDriver
	class  = "claim"
	kind   = vendor + "/" + class
)

// Annotations of our files: whose claim it is. Container runtimes ignore them.
const (
	annotationNamespace = accel.DeviceDriver + "/claim-namespace"
	annotationName      = accel.DeviceDriver + "/claim-name"
	annotationUID       = accel.DeviceDriver + "/claim-uid"
	annotationDevice    = accel.DeviceDriver + "/device"
	annotationShared    = accel.DeviceDriver + "/shared"
)

// KindVariable is the variable with the kind of the allocated device, in lower case,
// for programs that may be given one kind or another. A container of several devices
// has the last one's.
const KindVariable = "HETEROACCEL_KIND"

// Claim is a ResourceClaim whose devices are prepared.
type Claim struct {
	Namespace, Name string
	UID             types.UID
	Devices         []Device
}

// Device is an allocated device.
type Device struct {
	// Name is its name in the pool.
	Name string
	// Kind is its kind.
	Kind accel.Kind
	// Nodes are its device files. Of devices that were read from a file only the
	// paths are known.
	Nodes []Node
	// Shared is set when other claims may have the device too.
	Shared bool
}

// Node is a device file, at the same path on the host and in containers.
type Node struct {
	Path string
	// GID is the group that may open it; 0 for root alone.
	GID uint32
	// Number is the number of the file, for one that need not exist on the host when
	// the container starts; nil for one that does.
	Number *Number
}

// Number is that of a character device.
type Number struct{ Major, Minor int64 }

// DeviceID is the name of a claim's device for container runtimes. It is never used
// again: runtimes may remember what it was.
func DeviceID(claim types.UID, device string) string {
	return kind + "=" + deviceName(claim, device)
}

func deviceName(claim types.UID, device string) string { return string(claim) + "-" + device }

// Spec is the content of a claim's file.
func Spec(c Claim) (*specs.Spec, error) {
	out := &specs.Spec{Kind: kind, Annotations: map[string]string{
		annotationNamespace: c.Namespace, annotationName: c.Name, annotationUID: string(c.UID),
	}}
	for _, d := range c.Devices {
		edits := specs.ContainerEdits{Env: []string{KindVariable + "=" + strings.ToLower(string(d.Kind))}}
		for _, n := range d.Nodes {
			node := &specs.DeviceNode{Path: n.Path, Permissions: "rw"}
			if n.Number != nil {
				node.Type, node.Major, node.Minor = "c", n.Number.Major, n.Number.Minor
			}
			if n.GID != 0 {
				// Without it a container's own user owns the file; the group lets
				// any of its users in.
				node.GID = &n.GID
				if !slices.Contains(edits.AdditionalGIDs, n.GID) {
					edits.AdditionalGIDs = append(edits.AdditionalGIDs, n.GID)
				}
			}
			edits.DeviceNodes = append(edits.DeviceNodes, node)
		}
		annotations := map[string]string{annotationDevice: d.Name}
		if d.Shared {
			annotations[annotationShared] = "true"
		}
		out.Devices = append(out.Devices, specs.Device{Name: deviceName(c.UID, d.Name), Annotations: annotations, ContainerEdits: edits})
	}
	version, err := specs.MinimumRequiredVersion(out)
	if err != nil {
		return nil, fmt.Errorf("choose a version of CDI for claim %s/%s: %w", c.Namespace, c.Name, err)
	}
	out.Version = version
	return out, nil
}

// claimOf reads a claim from its file. It is an error for a file that has our name and
// another content.
func claimOf(spec *specs.Spec) (Claim, error) {
	a := spec.Annotations
	c := Claim{Namespace: a[annotationNamespace], Name: a[annotationName], UID: types.UID(a[annotationUID])}
	if spec.Kind != kind || c.UID == "" || c.Name == "" || c.Namespace == "" {
		return Claim{}, fmt.Errorf("it does not say whose claim it is")
	}
	for _, d := range spec.Devices {
		one := Device{Name: d.Annotations[annotationDevice], Shared: d.Annotations[annotationShared] != ""}
		for _, variable := range d.ContainerEdits.Env {
			if value, ok := strings.CutPrefix(variable, KindVariable+"="); ok {
				one.Kind = accel.Kind(strings.ToUpper(value))
			}
		}
		for _, n := range d.ContainerEdits.DeviceNodes {
			one.Nodes = append(one.Nodes, Node{Path: n.Path})
		}
		c.Devices = append(c.Devices, one)
	}
	return c, nil
}
