package main

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/grpc"
	api "k8s.io/kubelet/pkg/apis/podresources/v1"
)

// write writes a file below root; "->x" creates a link to x.
func write(t *testing.T, root, name, value string) {
	t.Helper()
	path := filepath.Join(root, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	var err error
	if target, link := strings.CutPrefix(value, "->"); link {
		err = os.Symlink(target, path)
	} else {
		err = os.WriteFile(path, []byte(value+"\n"), 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// machine writes sysfs and procfs of a node with a GPU, an FPGA and a stick.
func machine(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	for name, value := range map[string]string{
		"sys/class/drm/card0": "->../../devices/pci0000:00/0000:00:02.0/drm/card0",
		"sys/devices/pci0000:00/0000:00:02.0/drm/card0/device":                   "->../../../0000:00:02.0",
		"sys/devices/pci0000:00/0000:00:02.0/drm/renderD128/dev":                 "226:128",
		"sys/devices/pci0000:00/0000:00:02.0/vendor":                             "0x8086",
		"sys/devices/pci0000:00/0000:00:02.0/device":                             "0x9a49",
		"sys/devices/pci0000:00/0000:00:02.0/driver":                             "->../../../bus/pci/drivers/i915",
		"sys/class/fpga_region/region0":                                          "->../../devices/pci0000:3b/0000:3b:00.0/fpga_region/region0",
		"sys/devices/pci0000:3b/0000:3b:00.0/fpga_region/region0/dfl-port.0/dev": "",
		"sys/devices/pci0000:3b/0000:3b:00.0/vendor":                             "0x8086",
		"sys/devices/pci0000:3b/0000:3b:00.0/device":                             "0x09c4",
		"sys/devices/pci0000:3b/0000:3b:00.0/driver":                             "->../../../bus/pci/drivers/dfl-pci",
		"sys/bus/usb/devices/1-2/idVendor":                                       "03e7",
		"sys/bus/usb/devices/1-2/idProduct":                                      "2485",
		"proc/stat":                                                              "cpu  100 0 100 800 0 0 0 0 0 0\ncpu0 100 0 100 800 0 0 0 0 0 0",
		"proc/loadavg":                                                           "0.50 0 0 1/1 1",
		"proc/42/comm":                                                           "blender",
		"proc/42/cgroup":                                                         "0::/user.slice",
		"proc/42/fd/3":                                                           "->/dev/dri/renderD128",
		"proc/43/comm":                                                           "pod",
		"proc/43/cgroup":                                                         "0::/kubepods.slice/x",
		"proc/43/fd/3":                                                           "->/dev/dfl-port.0",
	} {
		write(t, root, name, value)
	}
	return root
}

// kubelet serves three devices, and a container holds the FPGA.
type kubelet struct {
	api.UnimplementedPodResourcesListerServer
}

func devices(resource, id string) *api.ContainerDevices {
	return &api.ContainerDevices{ResourceName: resource, DeviceIds: []string{id}}
}

func (kubelet) GetAllocatableResources(context.Context, *api.AllocatableResourcesRequest) (*api.AllocatableResourcesResponse, error) {
	return &api.AllocatableResourcesResponse{Devices: []*api.ContainerDevices{
		devices("gpu.intel.com/i915", "card0-0"), devices("fpga.intel.com/af-1", "dfl-port.0"), devices("vpu.intel.com/hddl", "hddl-0"),
	}}, nil
}

func (kubelet) List(context.Context, *api.ListPodResourcesRequest) (*api.ListPodResourcesResponse, error) {
	return &api.ListPodResourcesResponse{PodResources: []*api.PodResources{{Namespace: "ns", Name: "p", Containers: []*api.ContainerResources{
		{Name: "c", Devices: []*api.ContainerDevices{devices("fpga.intel.com/af-1", "dfl-port.0")}},
	}}}}, nil
}

func startKubelet(t *testing.T, socket string) (stop func()) {
	t.Helper()
	return startServer(t, socket, kubelet{})
}

func startServer(t testing.TB, socket string, k api.PodResourcesListerServer) (stop func()) {
	t.Helper()
	ln, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	api.RegisterPodResourcesListerServer(server, k)
	go func() { _ = server.Serve(ln) }()
	t.Cleanup(server.Stop)
	return server.Stop
}
