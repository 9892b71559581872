package main

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/rs/zerolog"
	"google.golang.org/grpc"
	api "k8s.io/kubelet/pkg/apis/podresources/v1"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/telemetry"
	"heteroaccel.io/pkg/telemetry/exposition"
)

// write makes a file below root; "->x" makes a link to x.
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

// kubelet serves three devices and has given away the FPGA.
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

// build compiles the program.
var build = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "exporter")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "exporter")
	out, err := exec.Command("go", "build", "-o", path, ".").CombinedOutput()
	if err != nil {
		return dir, &buildError{err, out}
	}
	return path, nil
})

type buildError struct {
	err error
	out []byte
}

func (e *buildError) Error() string { return e.err.Error() + "\n" + string(e.out) }

func TestMain(m *testing.M) {
	code := m.Run()
	if path, err := build(); err == nil {
		_ = os.RemoveAll(filepath.Dir(path))
	}
	os.Exit(code)
}

// launch runs the program and returns its address, from its log, and its
// process id.
func launch(t testing.TB, args ...string) (address string, pid int) {
	t.Helper()
	path, err := build()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, append([]string{"--web.listen-address", "127.0.0.1:0"}, args...)...)
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	listening := make(chan string, 1)
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		for lines := bufio.NewScanner(stderr); lines.Scan(); {
			var line struct{ Address string }
			if json.Unmarshal(lines.Bytes(), &line) == nil && line.Address != "" {
				listening <- line.Address
			}
		}
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		<-drained
		if err := cmd.Wait(); err != nil {
			t.Errorf("the exporter ended with %v", err)
		}
	})
	select {
	case a := <-listening:
		return a, cmd.Process.Pid
	case <-drained:
		t.Fatal("the exporter ended before it listened")
	case <-time.After(30 * time.Second):
		t.Fatal("the exporter does not listen")
	}
	return "", 0
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

// scrape reads the metrics as a monitor would.
func scrape(t *testing.T, address string) (telemetry.Scrape, string) {
	t.Helper()
	status, body := get(t, address+"/metrics")
	if status != http.StatusOK {
		t.Fatalf("status %d: %s", status, body)
	}
	series, err := exposition.Parse(strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	s, err := telemetry.Decode(series, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	return s, body
}

func succeeded(s telemetry.Scrape, collector string) bool {
	for _, c := range s.Collectors {
		if c.Name == collector {
			return c.OK
		}
	}
	return false
}

// The program on a machine, with a kubelet that goes and comes back.
func TestExporterEndToEnd(t *testing.T) {
	root := machine(t)
	socket := filepath.Join(t.TempDir(), "kubelet.sock")
	stop := startKubelet(t, socket)
	address, _ := launch(t, "--node-name", "g", "--path.sysfs", filepath.Join(root, "sys"), "--path.procfs", filepath.Join(root, "proc"), "--podresources-socket", socket)

	gpu := accel.Device{Kind: "GPU", ID: "0000:00:02.0", Resource: "gpu.intel.com/i915", Vendor: "Intel", Model: "Iris Xe Graphics",
		Driver: "i915", PluginID: "card0-0", Health: accel.Healthy, Slots: 1, ExternalUse: "blender"}
	fpga := accel.Device{Kind: "FPGA", ID: "0000:3b:00.0", Resource: "fpga.intel.com/af-1", Vendor: "Intel", Model: "Arria 10 GX",
		Driver: "dfl-pci", PluginID: "dfl-port.0", Health: accel.Healthy, Slots: 1, Allocated: 1,
		Holders: []accel.Holder{{Namespace: "ns", Pod: "p", Container: "c", Slots: 1}}}
	stick := accel.Device{Kind: "NPU", ID: "1-2", Resource: "vpu.intel.com/hddl", Vendor: "Intel", Model: "Neural Compute Stick 2", PluginID: "hddl-0", Health: accel.Healthy, Slots: 1}
	want := telemetry.Scrape{Node: "g", CPUCores: 1, CPUBusy: 0.5, Devices: []accel.Device{fpga, gpu, stick}}
	ignore := cmpopts.IgnoreFields(telemetry.Scrape{}, "Collectors")

	got, _ := scrape(t, address)
	if diff := cmp.Diff(want, got, ignore); diff != "" {
		t.Errorf("with a kubelet (-want +got)\n%s", diff)
	}

	stop()
	got, body := scrape(t, address)
	if succeeded(got, "podresources") || strings.Contains(body, "heteroaccel_device_allocated_slots{") {
		t.Errorf("the kubelet is gone, and its word still stands:\n%s", body)
	}
	for _, d := range got.Devices {
		if d.Allocated != -1 {
			t.Errorf("%s %s is said to be allocated %d times", d.Kind, d.ID, d.Allocated)
		}
	}

	startKubelet(t, socket)
	for deadline := time.Now().Add(20 * time.Second); ; {
		if got, _ = scrape(t, address); succeeded(got, "podresources") {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the kubelet is back, and is not asked")
		}
	}
	if diff := cmp.Diff(want, got, ignore); diff != "" {
		t.Errorf("with a kubelet that came back (-want +got)\n%s", diff)
	}

	// The stick is unplugged: the kubelet, which has not noticed, still
	// serves it.
	if err := os.RemoveAll(filepath.Join(root, "sys/bus/usb/devices/1-2")); err != nil {
		t.Fatal(err)
	}
	got, _ = scrape(t, address)
	if last := got.Devices[len(got.Devices)-1]; last.ID != "hddl-0" {
		t.Errorf("the stick was unplugged and is still %+v", last)
	}
}

func TestExporterPages(t *testing.T) {
	root := machine(t)
	address, _ := launch(t, "--node-name", "g", "--path.sysfs", filepath.Join(root, "sys"), "--path.procfs", filepath.Join(root, "proc"),
		"--podresources-socket", filepath.Join(root, "none.sock"))
	for path, want := range map[string]string{"/": "/metrics", "/healthz": "ok"} {
		if status, body := get(t, address+path); status != http.StatusOK || !strings.Contains(body, want) {
			t.Errorf("GET %s: %d %q", path, status, body)
		}
	}
	if status, _ := get(t, address+"/nothing"); status != http.StatusNotFound {
		t.Errorf("GET /nothing: %d", status)
	}
	resp, err := http.Post(address+"/metrics", "text/plain", strings.NewReader("x"))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("POST /metrics: %d", resp.StatusCode)
	}
}

func TestUnusableFlags(t *testing.T) {
	for name, tc := range map[string]struct {
		args []string
		want string
	}{
		"node":    {[]string{"--node-name", "Node_1"}, `--node-name "Node_1" is not the name of a node`},
		"no node": {[]string{"--node-name", ""}, "--node-name"},
		"sys":     {[]string{"--path.sysfs", "/nowhere"}, `--path.sysfs "/nowhere" is not a directory`},
		"proc":    {[]string{"--path.procfs", "/dev/null"}, `--path.procfs "/dev/null" is not a directory`},
		"socket":  {[]string{"--podresources-socket", ""}, "--podresources-socket"},
		"listen":  {[]string{"--web.listen-address", "9817"}, "write it like :9817"},
		"timeout": {[]string{"--scrape-timeout", "0s"}, "--scrape-timeout"},
	} {
		t.Run(name, func(t *testing.T) {
			err := exporter().Parse(append([]string{"--node-name", "g"}, tc.args...)...)
			if err == nil || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("error %v; want one line with %q", err, tc.want)
			}
		})
	}
	t.Run("address in use", func(t *testing.T) {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer ln.Close()
		p := exporter()
		if err := p.Parse("--node-name", "g", "--web.listen-address", ln.Addr().String()); err != nil {
			t.Fatal(err)
		}
		if err := p.Run(t.Context(), zerolog.Nop()); err == nil {
			t.Error("it ran on an address that is in use")
		}
	})
}
