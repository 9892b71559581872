package extendertest

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/inventory"
	"heteroaccel.io/pkg/profile"
	"heteroaccel.io/pkg/profile/v1alpha1"
	"heteroaccel.io/pkg/telemetry"
)

// Cluster is what the extender knows of a cluster.
type Cluster struct {
	Inventory *inventory.Inventory
	Profiles  *profile.Store

	set    []func(*corev1.Pod)
	remove []func(types.NamespacedName)
}

// New returns a cluster without nodes, with two profiles: face-recognition for
// GPU, NPU and CPU, and text for FPGA.
func New(tb testing.TB, clock func() time.Time) *Cluster {
	tb.Helper()
	c := &Cluster{Inventory: inventory.New(inventory.Options{Now: clock}), Profiles: profile.NewStore()}
	for _, p := range []*v1alpha1.InferenceProfile{faces(), texts()} {
		ready, err := profile.New(p)
		if err != nil {
			tb.Fatal(err)
		}
		if p.Name == "face-recognition" {
			p.Status.Learned = []v1alpha1.LearnedTime{
				learned(ready.Variant("GPU"), 57, "80ms 80ms 80ms"),
				learned(ready.Variant("NPU"), 1, "2s"), // too few to be used
			}
			if ready, err = profile.New(p); err != nil {
				tb.Fatal(err)
			}
		}
		c.Profiles.Set(ready)
	}
	return c
}

// FollowPods is what kube.Feeds has under this name.
func (c *Cluster) FollowPods(set func(*corev1.Pod), remove func(types.NamespacedName)) {
	c.set, c.remove = append(c.set, set), append(c.remove, remove)
}

// SetPod shows a new or changed pod, as kube.Feeds does.
func (c *Cluster) SetPod(p *corev1.Pod) {
	c.Inventory.SetPod(Record(p))
	for _, set := range c.set {
		set(p)
	}
}

// DeletePod removes a pod.
func (c *Cluster) DeletePod(namespace, name string) {
	c.Inventory.DeletePod(namespace, name)
	for _, remove := range c.remove {
		remove(types.NamespacedName{Namespace: namespace, Name: name})
	}
}

// SetNode adds a node of 8 cores, with pairs of resources and their counts,
// changed by edit if that is not nil.
func (c *Cluster) SetNode(name string, edit func(*corev1.Node), resources ...string) {
	l := List(append([]string{"cpu", "8", "memory", "16Gi", "pods", "110"}, resources...)...)
	n := &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"room": name}},
		Status:     corev1.NodeStatus{Capacity: l, Allocatable: l},
	}
	if edit != nil {
		edit(n)
	}
	c.Inventory.SetNode(inventory.NodeOf(n))
}

// Scrape sets a node's telemetry, which is so old at Now: 2 of 8 cores are busy.
func (c *Cluster) Scrape(node string, age time.Duration, devices ...accel.Device) {
	c.Inventory.SetTelemetry(telemetry.Scrape{Node: node, Time: Now.Add(-age), Devices: devices, CPUCores: 8, CPUBusy: 2})
}

// EveryNode are the nodes of SetGPUNodes, and one that is not known.
var EveryNode = []string{"idle", "sick", "taken", "stale", "without", "unknown"}

// SetGPUNodes adds one node of each sort there is.
func (c *Cluster) SetGPUNodes() {
	for _, name := range []string{"idle", "sick", "taken", "stale"} {
		c.SetNode(name, nil, GPU, "1")
	}
	c.SetNode("without", nil)
	c.Scrape("idle", 2*time.Second, Device("GPU", "0000:00:02.0", GPU))
	c.Scrape("sick", 2*time.Second, Device("GPU", "0000:00:02.0", GPU, Unhealthy))
	c.Scrape("taken", 2*time.Second, Device("GPU", "0000:00:02.0", GPU, InUse))
	c.Scrape("stale", time.Minute, Device("GPU", "0000:00:02.0", GPU, Unhealthy))
	c.Scrape("without", 2*time.Second)
}
