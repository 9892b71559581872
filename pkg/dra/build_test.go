package dra

import (
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/inventory"
)

const driver = "devices.heteroaccel.io"

// world is a store, the inventory that it tells, and what it reported.
type world struct {
	*Store
	inv      *inventory.Inventory
	reported []string
}

func newWorld() *world {
	w := &world{inv: inventory.New(inventory.Options{})}
	w.Store = New(w.inv, func(err error) { w.reported = append(w.reported, err.Error()) })
	for _, n := range []string{"n0", "n1", "n2"} {
		w.inv.SetNode(inventory.NodeOf(&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: n}}))
	}
	return w
}

// numbers of a node and a class
type numbers struct{ capacity, allocatable, held, usable int64 }

func (w *world) numbers(node, class string) numbers {
	n, r := w.inv.Lookup([]string{node})[0], accel.ClassResource(class)
	return numbers{n.Capacity.Device(r), n.Allocatable.Device(r), n.Held.Device(r), n.Usable(r, true)}
}

func (w *world) want(t *testing.T, node, class string, want numbers) {
	t.Helper()
	if got := w.numbers(node, class); got != want {
		t.Errorf("%s on %s: got %+v, want %+v", class, node, got, want)
	}
}

type deviceOption func(*resourcev1.Device)

// aDevice has an attribute for its kind.
func aDevice(name, kind string, options ...deviceOption) resourcev1.Device {
	d := resourcev1.Device{Name: name, Attributes: map[resourcev1.QualifiedName]resourcev1.DeviceAttribute{"kind": {StringValue: &kind}}}
	for _, o := range options {
		o(&d)
	}
	return d
}

func tainted(effect resourcev1.DeviceTaintEffect) deviceOption {
	return func(d *resourcev1.Device) {
		d.Taints = append(d.Taints, resourcev1.DeviceTaint{Key: "health", Value: "bad", Effect: effect})
	}
}

func shared(slots string) deviceOption {
	return func(d *resourcev1.Device) {
		d.AllowMultipleAllocations = new(true)
		if slots != "" {
			d.Capacity = map[resourcev1.QualifiedName]resourcev1.DeviceCapacity{"slots": capacity(slots, "1")}
		}
	}
}

type sliceOption func(*resourcev1.ResourceSliceSpec)

// aSlice is the only one of its node's pool.
func aSlice(node string, devices []resourcev1.Device, options ...sliceOption) *resourcev1.ResourceSlice {
	s := &resourcev1.ResourceSlice{ObjectMeta: metav1.ObjectMeta{Name: node}, Spec: resourcev1.ResourceSliceSpec{
		Driver: driver, NodeName: &node, Pool: resourcev1.ResourcePool{Name: node, Generation: 1, ResourceSliceCount: 1}, Devices: devices,
	}}
	for _, o := range options {
		o(&s.Spec)
	}
	return s
}

func devices(d ...resourcev1.Device) []resourcev1.Device { return d }

func ofPool(generation, count int64) sliceOption {
	return func(s *resourcev1.ResourceSliceSpec) {
		s.Pool.Generation, s.Pool.ResourceSliceCount = generation, count
	}
}

func aClass(name string, expressions ...string) *resourcev1.DeviceClass {
	c := &resourcev1.DeviceClass{ObjectMeta: metav1.ObjectMeta{Name: name}}
	for _, e := range expressions {
		c.Spec.Selectors = append(c.Spec.Selectors, resourcev1.DeviceSelector{CEL: &resourcev1.CELDeviceSelector{Expression: e}})
	}
	return c
}

// ofKind is a class of the devices of a kind.
func ofKind(kind string) *resourcev1.DeviceClass {
	return aClass(kind, fmt.Sprintf(`device.driver == %q && device.attributes[%q].kind == %q`, driver, driver, kind))
}

// aClaim is allocated devices of a node's pool, for a pod.
func aClaim(name, pod, node string, names ...string) *resourcev1.ResourceClaim {
	c := &resourcev1.ResourceClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name}}
	c.Status.Allocation = &resourcev1.AllocationResult{}
	if pod != "" {
		c.Status.ReservedFor = []resourcev1.ResourceClaimConsumerReference{{Resource: "pods", Name: pod, UID: types.UID("uid-" + pod)}}
	}
	for _, d := range names {
		c.Status.Allocation.Devices.Results = append(c.Status.Allocation.Devices.Results,
			resourcev1.DeviceRequestAllocationResult{Request: "r", Driver: driver, Pool: node, Device: d})
	}
	return c
}
