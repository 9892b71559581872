package placement_test

import (
	"cmp"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"heteroaccel.io/extender/placement"
	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/inventory"
	"heteroaccel.io/pkg/telemetry"
)

const (
	gpu    = "gpu.intel.com/i915"
	maxAge = 15 * time.Second
)

var now = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// nodeBuilder builds the record of a node, called "n" unless it has a name.
type nodeBuilder struct {
	name                  string
	capacity, allocatable corev1.ResourceList
	devices               []accel.Device
	cores, busy           float64
	age                   time.Duration
	scraped               bool
	pods                  []*corev1.Pod
}

// with is a node of 8 cores and so many devices.
func with(gpus string) *nodeBuilder {
	list := corev1.ResourceList{"cpu": resource.MustParse("8"), "memory": resource.MustParse("16Gi"), "pods": resource.MustParse("110")}
	if gpus != "0" {
		list[gpu] = resource.MustParse(gpus)
	}
	return &nodeBuilder{capacity: list, allocatable: list}
}

func (b *nodeBuilder) called(name string) *nodeBuilder {
	b.name = name
	return b
}

func (b *nodeBuilder) scrape(age time.Duration, busy float64, devices ...accel.Device) *nodeBuilder {
	b.scraped, b.age, b.cores, b.busy, b.devices = true, age, 8, busy, devices
	return b
}

func (b *nodeBuilder) pod(name, uid string, requests corev1.ResourceList) *nodeBuilder {
	b.pods = append(b.pods, pod(name, uid, "n", requests))
	return b
}

func (b *nodeBuilder) node() *inventory.Node {
	name := cmp.Or(b.name, "n")
	inv := inventory.New(inventory.Options{Now: func() time.Time { return now }})
	inv.SetNode(inventory.NodeOf(&corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"name": name}},
		Status:     corev1.NodeStatus{Capacity: b.capacity, Allocatable: b.allocatable},
	}))
	for _, p := range b.pods {
		p.Spec.NodeName = name
		inv.SetPod(inventory.PodOf(p, nil))
	}
	if b.scraped {
		inv.SetTelemetry(telemetry.Scrape{Node: name, Time: now.Add(-b.age), Devices: b.devices, CPUCores: b.cores, CPUBusy: b.busy})
	}
	return inv.Lookup([]string{name})[0]
}

func pod(name, uid, node string, requests corev1.ResourceList) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name, UID: types.UID(uid)},
		Spec: corev1.PodSpec{NodeName: node, Containers: []corev1.Container{{
			Resources: corev1.ResourceRequirements{Requests: requests},
		}}},
	}
}

func gpus(n string) corev1.ResourceList { return corev1.ResourceList{gpu: resource.MustParse(n)} }

func cpus(n string) corev1.ResourceList { return corev1.ResourceList{"cpu": resource.MustParse(n)} }

// device is a healthy, idle GPU of one slot, changed by edits.
func device(id string, edits ...func(*accel.Device)) accel.Device {
	d := accel.Device{Kind: "GPU", ID: id, Resource: gpu, Health: accel.Healthy, Slots: 1}
	for _, edit := range edits {
		edit(&d)
	}
	return d
}

func unhealthy(d *accel.Device) { d.Health = accel.Unhealthy }
func unknown(d *accel.Device)   { d.Health = accel.HealthUnknown }

func externalUse(command string) func(*accel.Device) {
	return func(d *accel.Device) { d.ExternalUse = command }
}

func shared(slots int) func(*accel.Device) { return func(d *accel.Device) { d.Slots = slots } }

func heldBy(pods ...string) func(*accel.Device) {
	return func(d *accel.Device) {
		d.Allocated = len(pods)
		for _, p := range pods {
			d.Holders = append(d.Holders, accel.Holder{Namespace: "default", Pod: p, Container: "c", Slots: 1})
		}
	}
}

func query(requests corev1.ResourceList) placement.Query {
	return placement.Query{
		Needs: placement.NeedsOf(pod("new", "new", "", requests)), FreshSince: now.Add(-maxAge),
	}
}
