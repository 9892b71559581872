package main

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"heteroaccel.io/e2e/machine"
)

const (
	gpu   = "gpu.intel.com/i915"
	npu   = "npu.intel.com/accel"
	fpga  = "fpga.intel.com/arria10.dcp1.2-nlb0"
	stick = "vpu.intel.com/hddl"
)

type (
	lists  = map[string]map[string]string
	health = map[string]string
)

// TestServe registers each resource by itself and gives out what is asked for.
func TestServe(t *testing.T) {
	n := newNode(t, machine.GPU(0, 1), machine.GPU(1, 1), machine.NPU(0, 1), machine.FPGA(0), machine.Stick(0))
	k := startKubelet(t, n.dir)
	stop := n.start(t, "--shared="+gpu+"=2", "--resource=FPGA="+fpga)
	k.wants(t, "all devices", lists{
		gpu:   {"card0-0": "Healthy", "card0-1": "Healthy", "card1-0": "Healthy", "card1-1": "Healthy"},
		npu:   {"accel0-0": "Healthy"},
		fpga:  {"region0": "Healthy"},
		stick: {"1-1-0": "Healthy"},
	})
	k.registered(t, "once", map[string]int{gpu: 1, npu: 1, fpga: 1, stick: 1})
	if diff := cmp.Diff(map[string]string{"region0": "0"}, k.topology()); diff != "" {
		t.Errorf("NUMA nodes (-want +got):\n%s", diff)
	}

	for _, tc := range []struct {
		resource string
		ids      []string
		env      string
		files    []string
	}{
		{gpu, []string{"card0-1"}, "card0-1", []string{"/dev/dri/renderD128"}},
		{gpu, []string{"card0-0", "card0-1", "card1-0"}, "card0-0,card0-1,card1-0", []string{"/dev/dri/renderD128", "/dev/dri/renderD129"}},
		{npu, []string{"accel0-0"}, "accel0-0", []string{"/dev/accel/accel0"}},
		{fpga, []string{"region0"}, "region0", []string{"/dev/dfl-port.0"}},
		{stick, []string{"1-1-0"}, "1-1-0", []string{"/dev/bus/usb/001/002"}},
	} {
		answer, err := k.allocate(t, tc.resource, tc.ids...)
		if err != nil {
			t.Fatalf("%v: %v", tc.ids, err)
		}
		var files []string
		for _, d := range answer.Devices {
			files = append(files, d.HostPath)
			if d.ContainerPath != d.HostPath || d.Permissions != "rw" {
				t.Errorf("%v: device %v", tc.ids, d)
			}
		}
		if diff := cmp.Diff(tc.files, files); diff != "" {
			t.Errorf("%v: files (-want +got):\n%s", tc.ids, diff)
		}
		if got := answer.Envs["ACCELERATOR_DEVICES"]; got != tc.env {
			t.Errorf("%v: ACCELERATOR_DEVICES is %q", tc.ids, got)
		}
	}
	if _, err := k.allocate(t, gpu, "card7-0"); status.Code(err) != codes.NotFound {
		t.Errorf("a device that is not there: %v", err)
	}
	do(t, os.Remove(filepath.Join(n.dev, "accel/accel0")))
	if answer, err := k.allocate(t, npu, "accel0-0"); err != nil || len(answer.Devices) != 0 {
		t.Errorf("a device without its file: %v, %v, want no file", answer, err)
	}
	first := map[string]any{"level": "info", "message": "allocated", "resource": gpu, "ids": []any{"card0-1"}}
	if diff := cmp.Diff(first, n.log.with(t, "allocated")[0]); diff != "" {
		t.Errorf("log of an allocation (-want +got):\n%s", diff)
	}

	stop()
	left, err := os.ReadDir(n.dir)
	do(t, err)
	for _, file := range left {
		if file.Name() != "kubelet.sock" {
			t.Errorf("%s was left behind", file.Name())
		}
	}
}

// TestHotPlug: a device that goes is unhealthy, then not listed; one that comes
// is; and the last one that goes leaves an empty list, not a missing one.
func TestHotPlug(t *testing.T) {
	n := newNode(t, machine.GPU(0, 1), machine.GPU(1, 1), machine.Stick(0))
	do(t, n.Unplug("1-1"))
	k := startKubelet(t, n.dir)
	n.start(t)
	two := health{"card0-0": "Healthy", "card1-0": "Healthy"}
	k.wants(t, "at first", lists{gpu: two})

	do(t, n.Unplug("card1"))
	k.wants(t, "pulled out", lists{gpu: {"card0-0": "Healthy", "card1-0": "Unhealthy"}})
	if _, err := k.allocate(t, gpu, "card1-0"); status.Code(err) != codes.FailedPrecondition && status.Code(err) != codes.NotFound {
		t.Errorf("a device that is gone was given out: %v", err)
	}
	k.wants(t, "dropped", lists{gpu: {"card0-0": "Healthy"}})
	do(t, n.Plug("card1"))
	k.wants(t, "back", lists{gpu: two})

	do(t, n.Unbind("card0"))
	k.wants(t, "without a driver", lists{gpu: {"card0-0": "Unhealthy", "card1-0": "Healthy"}})
	do(t, n.Bind("card0"))
	k.wants(t, "with its driver", lists{gpu: two})

	do(t, n.Plug("1-1"))
	k.wants(t, "a resource of its own", lists{gpu: two, stick: {"1-1-0": "Healthy"}})
	do(t, n.Unplug("1-1"))
	k.wants(t, "none left", lists{gpu: two, stick: {}})
	k.registered(t, "once", map[string]int{gpu: 1, stick: 1})
	want := []map[string]any{
		{"level": "info", "message": "health", "resource": stick, "id": "1-1-0", "health": "Healthy"},
		{"level": "info", "message": "health", "resource": stick, "id": "1-1-0", "health": "Unhealthy"},
	}
	var got []map[string]any
	for _, entry := range n.log.with(t, "health") {
		if entry["resource"] == stick {
			got = append(got, entry)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("log of the stick's health (-want +got):\n%s", diff)
	}
}

// TestKubeletComesLater: the plugin waits for a kubelet, and leaves no socket
// in its directory that a kubelet would empty.
func TestKubeletComesLater(t *testing.T) {
	n := newNode(t, machine.GPU(0, 1))
	n.start(t)
	eventually(t, "the plugin waits", func() string {
		if len(n.log.with(t, "waiting for the kubelet")) == 0 {
			return n.log.String()
		}
		return ""
	})
	k := startKubelet(t, n.dir)
	k.wants(t, "after the kubelet came", lists{gpu: {"card0-0": "Healthy"}})
	k.registered(t, "once", map[string]int{gpu: 1})
}

// TestKubeletRestarts: each new kubelet is registered with, also one that
// was killed and so left its socket.
func TestKubeletRestarts(t *testing.T) {
	n := newNode(t, machine.GPU(0, 1), machine.NPU(0, 1))
	want := lists{gpu: {"card0-0": "Healthy"}, npu: {"accel0-0": "Healthy"}}
	k := startKubelet(t, n.dir)
	n.start(t)
	k.wants(t, "the first kubelet", want)
	for i := range 5 {
		k.kill()
		k = startKubelet(t, n.dir)
		k.wants(t, fmt.Sprintf("kubelet %d", i+2), want)
		if _, err := k.allocate(t, gpu, "card0-0"); err != nil {
			t.Errorf("kubelet %d: %v", i+2, err)
		}
	}
}

// TestPluginRestarts: a successor takes over, also where a predecessor was
// killed and left its socket; and a socket that somebody removes comes back.
func TestPluginRestarts(t *testing.T) {
	n := newNode(t, machine.GPU(0, 1))
	want := lists{gpu: {"card0-0": "Healthy"}}
	k := startKubelet(t, n.dir)
	socket := filepath.Join(n.dir, "gpu.intel.com_i915.sock")
	stale, err := net.Listen("unix", socket)
	do(t, err)
	stale.(*net.UnixListener).SetUnlinkOnClose(false)
	do(t, stale.Close())

	stop := n.start(t)
	k.wants(t, "over a stale socket", want)
	stop()
	k.wants(t, "with the plugin away", lists{gpu: {"card0-0": "Unhealthy"}})
	n.start(t)
	k.wants(t, "the successor", want)
	k.registered(t, "the successor", map[string]int{gpu: 2})
	do(t, os.Remove(socket))
	k.registered(t, "without its socket", map[string]int{gpu: 3})
	k.wants(t, "with a new socket", want)
}

// TestForget has a device go and come at exact times.
func TestForget(t *testing.T) {
	p := newPlugin(gpu, options{forget: 10 * time.Second}, zerolog.Nop())
	start := time.Now()
	one := []device{{id: "card0-0", healthy: true, numa: -1}}
	for _, step := range []struct {
		after time.Duration
		now   []device
		want  string
	}{
		{0, one, "card0-0 Healthy"},
		{1 * time.Second, nil, "card0-0 Unhealthy"},
		{10 * time.Second, nil, "card0-0 Unhealthy"},
		{10*time.Second + 1, one, "card0-0 Healthy"},
		{12 * time.Second, nil, "card0-0 Unhealthy"},
		{22 * time.Second, nil, ""},
		{60 * time.Second, nil, ""},
	} {
		p.Update(step.now, start.Add(step.after))
		devices, _ := p.current()
		got := ""
		for _, d := range devices {
			got += d.id + " " + d.health()
		}
		if got != step.want {
			t.Errorf("after %s: %q, want %q", step.after, got, step.want)
		}
	}
}

func TestFlags(t *testing.T) {
	for name, args := range map[string][]string{
		"an argument":      {"gpu"},
		"unknown":          {"--gpu"},
		"no interval":      {"--interval=0s"},
		"shared by nobody": {"--shared=" + gpu + "=0"},
	} {
		if code := run(t.Context(), args, &lines{}, &lines{}); code != 2 {
			t.Errorf("%s: the program ended with %d, want 2", name, code)
		}
	}
	if code := run(t.Context(), []string{"--dir=/nowhere"}, &lines{}, &lines{}); code != 1 {
		t.Errorf("without a directory: the program ended with %d, want 1", code)
	}
}
