package dradriver

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"
	corev1 "k8s.io/api/core/v1"
	resourceapi "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes/fake"

	"heteroaccel.io/exporter/allocation"
	"heteroaccel.io/exporter/collector"
	"heteroaccel.io/exporter/discovery"
	"heteroaccel.io/exporter/podresources"
	"heteroaccel.io/pkg/accel"
)

// rig is a node with an NPU, whose API server is client-go's fake: the real one is in
// e2e.
type rig struct {
	t      *testing.T
	config Config
	client *fake.Clientset

	mu      sync.Mutex
	reading collector.Reading
}

// npu is the node's.
func npu() discovery.Device {
	return discovery.Device{Kind: "NPU", ID: "0000:00:0b.0", Vendor: "Intel", Driver: "intel_vpu", Resource: "npu.intel.com/accel",
		Names: []string{"0000:00:0b.0", "accel0"}, Files: []string{"/dev/accel/accel0"}}
}

// newRig is a node whose runtime is of some version.
func newRig(t *testing.T, runtime string) *rig {
	t.Helper()
	dir, err := os.MkdirTemp("", "dra") // short: the path of a socket has 107 bytes at most
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	device := filepath.Join(dir, "dev/accel/accel0")
	for _, d := range []string{filepath.Dir(device), filepath.Join(dir, "sys")} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(device, nil, 0o660); err != nil {
		t.Fatal(err)
	}
	r := &rig{
		t: t,
		config: Config{
			Node: "n", Kinds: []accel.Kind{accel.CPU, "NPU"}, Slots: map[accel.Kind]int{},
			RegistryDir: filepath.Join(dir, "registry"), DataDir: filepath.Join(dir, "data"), CDIDir: filepath.Join(dir, "cdi"),
			Sys: filepath.Join(dir, "sys"), Proc: "/proc", Dev: filepath.Join(dir, "dev"), Refresh: 20 * time.Millisecond,
		},
		client: fake.NewClientset(&corev1.Node{
			ObjectMeta: metav1.ObjectMeta{Name: "n", UID: "node-uid"},
			Status:     corev1.NodeStatus{NodeInfo: corev1.NodeSystemInfo{ContainerRuntimeVersion: runtime}},
		}),
	}
	r.set(npu())
	return r
}

// set says which devices the node has from now on.
func (r *rig) set(devices ...discovery.Device) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.reading = collector.Reading{Machine: allocation.Machine{Devices: devices, Complete: true}, Kubelet: &podresources.Answer{}}
}

func (r *rig) use(used map[string]string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.reading.Used = used
}

func (r *rig) answer(a *podresources.Answer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.reading.Kubelet = a
}

func (r *rig) read() collector.Reading {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.reading
}

// start runs a driver until stop is called, or the test ends.
func (r *rig) start(uid types.UID) (d *Driver, stop func()) {
	r.t.Helper()
	config := r.config
	config.PodUID = uid
	d, err := New(config, r.client, zerolog.New(zerolog.NewTestWriter(r.t)))
	if err != nil {
		r.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- d.Run(ctx, r.read) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			r.t.Errorf("the driver ended with %v", err)
		}
	})
	r.t.Cleanup(stop)
	return d, stop
}

// claim creates one that has devices of the node.
func (r *rig) claim(name string, devices ...string) *resourceapi.ResourceClaim {
	r.t.Helper()
	c := &resourceapi.ResourceClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: name, UID: types.UID(name + "-uid")}}
	c.Status.Allocation = &resourceapi.AllocationResult{}
	for _, d := range devices {
		c.Status.Allocation.Devices.Results = append(c.Status.Allocation.Devices.Results,
			resourceapi.DeviceRequestAllocationResult{Request: "npu", Driver: accel.DeviceDriver, Pool: "n", Device: d})
	}
	c, err := r.client.ResourceV1().ResourceClaims("ns").Create(r.t.Context(), c, metav1.CreateOptions{})
	if err != nil {
		r.t.Fatal(err)
	}
	return c
}

func (r *rig) remove(c *resourceapi.ResourceClaim) {
	r.t.Helper()
	if err := r.client.ResourceV1().ResourceClaims(c.Namespace).Delete(r.t.Context(), c.Name, metav1.DeleteOptions{}); err != nil {
		r.t.Fatal(err)
	}
}

// published are the devices at the API server, each with its taints.
func (r *rig) published() []string {
	r.t.Helper()
	list, err := r.client.ResourceV1().ResourceSlices().List(r.t.Context(), metav1.ListOptions{})
	if err != nil {
		r.t.Fatal(err)
	}
	var out []string
	for _, s := range list.Items {
		if s.Spec.Driver != accel.DeviceDriver {
			continue
		}
		for _, d := range s.Spec.Devices {
			name := d.Name
			for _, taint := range d.Taints {
				name += " " + taint.Key + "=" + taint.Value
			}
			out = append(out, name)
		}
	}
	return out
}

// expect waits until these devices are published.
func (r *rig) expect(want ...string) {
	r.t.Helper()
	var got []string
	err := wait.PollUntilContextTimeout(r.t.Context(), 5*time.Millisecond, 30*time.Second, true, func(context.Context) (bool, error) {
		got = r.published()
		return slices.Equal(got, want), nil
	})
	if err != nil {
		r.t.Fatalf("published is %q, want %q: %v", got, want, err)
	}
}

// serve has the kubelet report a device plugin's resource in the node's capacity.
func (r *rig) serve(name string, amount string) {
	r.t.Helper()
	n, err := r.client.CoreV1().Nodes().Get(r.t.Context(), "n", metav1.GetOptions{})
	if err != nil {
		r.t.Fatal(err)
	}
	n.Status.Capacity = corev1.ResourceList{corev1.ResourceName(name): resource.MustParse(amount)}
	if _, err := r.client.CoreV1().Nodes().UpdateStatus(r.t.Context(), n, metav1.UpdateOptions{}); err != nil {
		r.t.Fatal(err)
	}
}
