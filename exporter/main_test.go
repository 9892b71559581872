package main

import (
	"debug/elf"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/rs/zerolog"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/telemetry"
)

// The program on a machine, with a kubelet that goes and comes back.
func TestExporterEndToEnd(t *testing.T) {
	root := machine(t)
	socket := filepath.Join(t.TempDir(), "kubelet.sock")
	stop := startKubelet(t, socket)
	address, _ := launch(t, "--node-name", "g", "--path.sysfs", filepath.Join(root, "sys"), "--path.procfs", filepath.Join(root, "proc"), "--podresources-socket", socket, "--detect-external-use")

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
		t.Errorf("the kubelet is gone, and its last answer is still reported:\n%s", body)
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
			t.Fatal("the kubelet is back, and the exporter does not ask it")
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

// TestUnprivileged: by default no other process is looked at, which takes
// capabilities.
func TestUnprivileged(t *testing.T) {
	root := machine(t)
	address, _ := launch(t, "--node-name", "g", "--path.sysfs", filepath.Join(root, "sys"), "--path.procfs", filepath.Join(root, "proc"),
		"--podresources-socket", filepath.Join(root, "none.sock"))
	got, body := scrape(t, address)
	for _, d := range got.Devices {
		if d.ExternalUse != "" {
			t.Errorf("%s %s is in external use by %s", d.Kind, d.ID, d.ExternalUse)
		}
	}
	if len(got.Devices) == 0 || strings.Contains(body, `collector="external_use"`) {
		t.Errorf("%d devices, and processes are looked at:\n%s", len(got.Devices), body)
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

		"kind to drive":       {[]string{"--drive", "a/b"}, `--drive: "a/b" is not an accelerator kind`},
		"slots of the CPU":    {[]string{"--drive", "cpu", "--drive-slots", "cpu=4"}, "--drive-slots cpu=4: any number of claims share the CPU"},
		"slots of a stranger": {[]string{"--drive", "npu", "--drive-slots", "gpu=4"}, "--drive-slots gpu=4: the kind is not served: add it to --drive"},
		"no slot":             {[]string{"--drive", "GPU", "--drive-slots", "gpu=0"}, "give a number from 1 to 1024"},
		"registry":            {[]string{"--plugin-registry-dir", ""}, "--plugin-registry-dir"},
		"CDI directory":       {[]string{"--cdi-dir", "cdi"}, `--cdi-dir "cdi" is not the path of a directory`},
		"devices":             {[]string{"--drive", "npu", "--path.dev", "/nowhere"}, `--path.dev "/nowhere" is not a directory`},
		"refresh":             {[]string{"--drive-refresh", "1ms"}, "--drive-refresh 1ms is too short"},
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

// TestOnlyWhatIsCalled: the linker leaves out methods that nothing calls, but for programs
// in which a method may be called by a name that is known at run time only, as templates
// do. Then all methods of Kubernetes' types and clients are in them, a third more.
func TestOnlyWhatIsCalled(t *testing.T) {
	path, err := build()
	if err != nil {
		t.Fatal(err)
	}
	program, err := elf.Open(path)
	if err != nil {
		t.Fatal("read the program: ", err)
	}
	defer program.Close()
	symbols, err := program.Symbols()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range symbols {
		if strings.HasPrefix(s.Name, "text/template.(*Template).Execute") {
			t.Errorf("%s is in the program: build it without gRPC's trace pages, and see with go build -ldflags=-dumpdep what calls it", s.Name)
		}
	}
}
