package kubelet_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	podresources "k8s.io/kubelet/pkg/apis/podresources/v1"

	"heteroaccel.io/e2e/machine"
	"heteroaccel.io/e2e/machine/kubelet"
)

const gpu = "gpu.intel.com/i915"

// node is a machine, its server, a client of it and the pods bound there.
type node struct {
	*testing.T
	machine *machine.Machine
	server  *kubelet.Server
	client  podresources.PodResourcesListerClient

	mu     sync.Mutex
	pods   []*corev1.Pod
	claims map[string]*resourcev1.ResourceClaim // by namespace/name
}

func newNode(t *testing.T, devices ...machine.Device) *node {
	t.Helper()
	dir, err := os.MkdirTemp("", "kubelet") // short: it is a socket's path
	if err != nil {
		t.Fatal(err)
	}
	n := &node{T: t, machine: &machine.Machine{Name: "x", Cores: 1, MemoryGiB: 1, Devices: devices}}
	n.server = kubelet.New(filepath.Join(dir, "s.sock"), n.machine, func() []*corev1.Pod {
		n.mu.Lock()
		defer n.mu.Unlock()
		return slices.Clone(n.pods)
	}, func(namespace, name string) *resourcev1.ResourceClaim {
		n.mu.Lock()
		defer n.mu.Unlock()
		return n.claims[namespace+"/"+name]
	})
	if err := n.server.Start(); err != nil {
		t.Fatal(err)
	}
	conn, err := grpc.NewClient("unix:"+n.server.Socket(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	n.client = podresources.NewPodResourcesListerClient(conn)
	t.Cleanup(func() {
		conn.Close()
		n.server.Stop()
		os.RemoveAll(dir)
	})
	return n
}

// bind puts a pod on the node whose containers each want as many GPUs.
func (n *node) bind(name string, gpus ...int64) *corev1.Pod {
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name, UID: types.UID(name)}}
	for i, count := range gpus {
		limits := corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("1")}
		if count > 0 {
			limits[gpu] = *resource.NewQuantity(count, resource.DecimalSI)
		}
		pod.Spec.Containers = append(pod.Spec.Containers, corev1.Container{
			Name: fmt.Sprintf("c%d", i), Resources: corev1.ResourceRequirements{Limits: limits},
		})
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.pods = append(n.pods, pod)
	return pod
}

func (n *node) remove(name string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.pods = slices.DeleteFunc(n.pods, func(p *corev1.Pod) bool { return p.Name == name })
}

// end replaces a pod by one that succeeded, as an informer does.
func (n *node) end(pod *corev1.Pod) {
	n.remove(pod.Name)
	pod = pod.DeepCopy()
	pod.Status.Phase = corev1.PodSucceeded
	n.mu.Lock()
	defer n.mu.Unlock()
	n.pods = append(n.pods, pod)
}

// wantHeld compares what List says: "pod/container" → device ids.
func (n *node) wantHeld(when string, want map[string][]string) {
	n.Helper()
	response, err := n.client.List(n.Context(), &podresources.ListPodResourcesRequest{})
	if err != nil {
		n.Fatal(err)
	}
	got := map[string][]string{}
	for _, pod := range response.PodResources {
		for _, c := range pod.Containers {
			key := pod.Name + "/" + c.Name
			got[key] = []string{}
			for _, d := range c.Devices {
				got[key] = append(got[key], d.DeviceIds...)
			}
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		n.Errorf("%s: held devices (-want +got):\n%s", when, diff)
	}
}

func TestAllocationIsStableAndFreed(t *testing.T) {
	n := newNode(t, machine.GPU(0, 2), machine.GPU(1, 1))
	a := n.bind("a", 1)
	n.bind("b", 1, 0)
	n.wantHeld("two pods", map[string][]string{"a/c0": {"card0-0"}, "b/c0": {"card0-1"}, "b/c1": {}})

	n.end(a)
	n.wantHeld("a ended", map[string][]string{"b/c0": {"card0-1"}, "b/c1": {}})
	n.bind("c", 2)
	n.wantHeld("c takes what is free", map[string][]string{"b/c0": {"card0-1"}, "b/c1": {}, "c/c0": {"card0-0", "card1-0"}})

	n.bind("d", 1)
	n.wantHeld("none left for d", map[string][]string{"b/c0": {"card0-1"}, "b/c1": {}, "c/c0": {"card0-0", "card1-0"}, "d/c0": {}})
	n.remove("c")
	n.wantHeld("c is gone", map[string][]string{"b/c0": {"card0-1"}, "b/c1": {}, "d/c0": {"card0-0"}})
}

func TestOnlyHealthyDevicesAreGiven(t *testing.T) {
	n := newNode(t, machine.GPU(0, 1), machine.GPU(1, 1))
	allocatable := func() []string {
		response, err := n.client.GetAllocatableResources(t.Context(), &podresources.AllocatableResourcesRequest{})
		if err != nil {
			t.Fatal(err)
		}
		var ids []string
		for _, d := range response.Devices {
			ids = append(ids, d.DeviceIds...)
		}
		return ids
	}
	n.bind("a", 1)
	n.wantHeld("a", map[string][]string{"a/c0": {"card0-0"}})
	for _, device := range []string{"card0", "card1"} {
		if err := n.machine.SetHealthy(device, false); err != nil {
			t.Fatal(err)
		}
	}
	n.bind("b", 1)
	n.wantHeld("a keeps a device that broke, b gets none", map[string][]string{"a/c0": {"card0-0"}, "b/c0": {}})
	if got := allocatable(); len(got) != 0 {
		t.Errorf("allocatable are %v, want none", got)
	}
	if err := n.machine.SetHealthy("card1", true); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"card1-0"}, allocatable()); diff != "" {
		t.Errorf("allocatable (-want +got):\n%s", diff)
	}
	n.wantHeld("card1 is back", map[string][]string{"a/c0": {"card0-0"}, "b/c0": {"card1-0"}})
}

func TestGetAndTopology(t *testing.T) {
	n := newNode(t, machine.FPGA(0))
	pod := n.bind("a", 0)
	pod.Spec.Containers[0].Resources.Limits["fpga.intel.com/arria10.dcp1.2-nlb0"] = resource.MustParse("1")
	got, err := n.client.Get(t.Context(), &podresources.GetPodResourcesRequest{PodNamespace: "default", PodName: "a"})
	if err != nil {
		t.Fatal(err)
	}
	d := got.PodResources.Containers[0].Devices
	if len(d) != 1 || d[0].DeviceIds[0] != "region0" || d[0].Topology.Nodes[0].ID != 0 {
		t.Errorf("pod a holds %v, want region0 on NUMA node 0", d)
	}
	_, err = n.client.Get(t.Context(), &podresources.GetPodResourcesRequest{PodNamespace: "default", PodName: "b"})
	if status.Code(err) != codes.NotFound {
		t.Errorf("of a pod that is not there Get says %v, want NotFound", err)
	}
}

func TestStopAndStart(t *testing.T) {
	n := newNode(t, machine.GPU(0, 1), machine.GPU(1, 1))
	a := n.bind("a", 1)
	n.bind("b", 1)
	n.wantHeld("before", map[string][]string{"a/c0": {"card0-0"}, "b/c0": {"card1-0"}})
	n.server.Stop()
	n.server.Stop()
	if _, err := os.Stat(n.server.Socket()); !os.IsNotExist(err) {
		t.Errorf("the socket of a stopped server: %v, want that it does not exist", err)
	}
	if _, err := n.client.List(t.Context(), &podresources.ListPodResourcesRequest{}); status.Code(err) != codes.Unavailable {
		t.Errorf("a stopped server says %v, want Unavailable", err)
	}
	n.end(a)
	for range 2 {
		if err := n.server.Start(); err != nil {
			t.Fatal(err)
		}
	}
	fresh, err := grpc.NewClient("unix:"+n.server.Socket(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer fresh.Close()
	n.client = podresources.NewPodResourcesListerClient(fresh)
	n.wantHeld("after", map[string][]string{"b/c0": {"card1-0"}})
}

// TestNeverTwice has pods come and go while clients ask: no device id is ever
// held by two containers.
func TestNeverTwice(t *testing.T) {
	n := newNode(t, machine.GPU(0, 4))
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := range 100 {
			n.bind(fmt.Sprintf("p%d", i), 1)
			if i >= 4 {
				n.remove(fmt.Sprintf("p%d", i-4))
			}
		}
	})
	for range 4 {
		wg.Go(func() {
			for range 50 {
				response, err := n.client.List(t.Context(), &podresources.ListPodResourcesRequest{})
				if err != nil {
					t.Error(err)
					return
				}
				holder := map[string]string{}
				for _, pod := range response.PodResources {
					for _, d := range pod.Containers[0].Devices {
						if other := holder[d.DeviceIds[0]]; other != "" {
							t.Errorf("%s is held by %s and %s", d.DeviceIds[0], other, pod.Name)
						}
						holder[d.DeviceIds[0]] = pod.Name
					}
				}
			}
		})
	}
	wg.Wait()
}

func TestLongSocketPath(t *testing.T) {
	s := kubelet.New(filepath.Join(t.TempDir(), string(slices.Repeat([]byte("x"), 120))), machine.G(), nil, nil)
	if err := s.Start(); err == nil {
		s.Stop()
		t.Error("a socket with a path of more than 100 characters was made")
	}
}
