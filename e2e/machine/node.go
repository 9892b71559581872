package machine

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// KwokAnnotation marks the Nodes that kwok plays the kubelet of.
const KwokAnnotation = "kwok.x-k8s.io/node"

// MaxPods is the kubelet's default.
const MaxPods = 110

// Node returns the machine as a kubelet of a version, "v1.37.2", would register it,
// without conditions. Allocatable equals capacity but for unhealthy devices: nothing
// is set aside for the system, so that a test's arithmetic stays simple.
func (m *Machine) Node(version string) *corev1.Node {
	allocatable, capacity := m.ResourceLists()
	return &corev1.Node{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Node"},
		ObjectMeta: metav1.ObjectMeta{
			Name: m.Name,
			Labels: map[string]string{
				corev1.LabelHostname:   m.Name,
				corev1.LabelArchStable: "amd64",
				corev1.LabelOSStable:   "linux",
			},
			Annotations: map[string]string{KwokAnnotation: "fake"},
		},
		Status: corev1.NodeStatus{
			Capacity:    capacity,
			Allocatable: allocatable,
			Addresses: []corev1.NodeAddress{
				{Type: corev1.NodeInternalIP, Address: "127.0.0.1"},
				{Type: corev1.NodeHostName, Address: m.Name},
			},
			NodeInfo: corev1.NodeSystemInfo{
				Architecture: "amd64", OperatingSystem: "linux",
				OSImage: "simulated " + m.CPU, KubeletVersion: version,
				ContainerRuntimeVersion: "kwok://", KernelVersion: "6.12.0",
			},
		},
	}
}

// ResourceLists are what the machine's Node offers at this moment.
func (m *Machine) ResourceLists() (allocatable, capacity corev1.ResourceList) {
	free, all := m.Resources()
	list := func(devices map[string]int64) corev1.ResourceList {
		l := corev1.ResourceList{
			corev1.ResourceCPU:              *resource.NewQuantity(int64(m.Cores), resource.DecimalSI),
			corev1.ResourceMemory:           resource.MustParse(fmt.Sprintf("%dGi", m.MemoryGiB)),
			corev1.ResourceEphemeralStorage: resource.MustParse("100Gi"),
			corev1.ResourcePods:             *resource.NewQuantity(MaxPods, resource.DecimalSI),
		}
		for name, n := range devices {
			l[corev1.ResourceName(name)] = *resource.NewQuantity(n, resource.DecimalSI)
		}
		return l
	}
	return list(free), list(all)
}
