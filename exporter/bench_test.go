package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rs/zerolog"
	api "k8s.io/kubelet/pkg/apis/podresources/v1"

	"heteroaccel.io/exporter/collector"
	"heteroaccel.io/exporter/podresources"
	"heteroaccel.io/exporter/testmachine"
)

// busyNode is a machine with eight devices, 300 processes of twenty open files,
// and a kubelet with 200 pods of two containers, which hold half of the
// devices. It returns the exporter's flags.
func busyNode(b *testing.B) (sys, proc, socket string) {
	b.Helper()
	sys, proc = testmachine.Write(b, "eight-devices")
	testmachine.Processes(b, proc, 300)
	socket = filepath.Join(b.TempDir(), "kubelet.sock")
	startServer(b, socket, newBusyKubelet())
	return sys, proc, socket
}

// busyKubelet answers what it made once.
type busyKubelet struct {
	api.UnimplementedPodResourcesListerServer
	allocatable *api.AllocatableResourcesResponse
	pods        *api.ListPodResourcesResponse
}

func newBusyKubelet() *busyKubelet {
	k := &busyKubelet{allocatable: &api.AllocatableResourcesResponse{}, pods: &api.ListPodResourcesResponse{}}
	for i, d := range []struct{ resource, id string }{
		{"gpu.intel.com/xe", "card1-0"}, {"gpu.intel.com/xe", "card2-0"}, {"gpu.intel.com/i915", "card3-0"}, {"gpu.intel.com/i915", "card4-0"},
		{"npu.intel.com/accel", "accel0-0"}, {"fpga.intel.com/af-d842", "dfl-port.0"}, {"vpu.intel.com/hddl", "usb-1-5"}, {"vpu.intel.com/hddl", "usb-1-6"},
	} {
		device := devices(d.resource, d.id)
		device.Topology = &api.TopologyInfo{Nodes: []*api.NUMANode{{ID: int64(i % 2)}}}
		k.allocatable.Devices = append(k.allocatable.Devices, device)
	}
	for i := range 96 {
		k.allocatable.CpuIds = append(k.allocatable.CpuIds, int64(i))
	}
	for i := range 200 {
		pod := &api.PodResources{Namespace: fmt.Sprintf("team-%d", i%10), Name: fmt.Sprintf("face-recognition-7d9c5b6f4-%05d", i)}
		for c := range 2 {
			container := &api.ContainerResources{Name: fmt.Sprintf("container-%d", c), CpuIds: []int64{int64(i)}}
			if c == 0 && i%50 == 0 {
				container.Devices = []*api.ContainerDevices{k.allocatable.Devices[i/25]}
			}
			pod.Containers = append(pod.Containers, container)
		}
		k.pods.PodResources = append(k.pods.PodResources, pod)
	}
	return k
}

func (k *busyKubelet) GetAllocatableResources(context.Context, *api.AllocatableResourcesRequest) (*api.AllocatableResourcesResponse, error) {
	return k.allocatable, nil
}

func (k *busyKubelet) List(context.Context, *api.ListPodResourcesRequest) (*api.ListPodResourcesResponse, error) {
	return k.pods, nil
}

// BenchmarkScrape is what a scrape of a busy node costs, from the HTTP handler
// to the kubelet's socket and the files of sysfs and procfs. The kubelet's own
// work, and writing its answer, are in it: it is in this process.
func BenchmarkScrape(b *testing.B) {
	for name, outside := range map[string]bool{"everything": true, "without external use": false} {
		b.Run(name, func(b *testing.B) {
			sys, proc, socket := busyNode(b)
			kubelet, err := podresources.New(socket)
			if err != nil {
				b.Fatal(err)
			}
			defer kubelet.Close()
			c := collector.New(collector.Config{Node: "g", Sys: sys, Proc: proc, ExternalUse: outside, Timeout: time.Minute}, kubelet.Ask, zerolog.Nop())
			handler := routes("g", zerolog.Nop(), c)
			b.ReportAllocs()
			before := processorTime(b)
			for b.Loop() {
				w := httptest.NewRecorder()
				handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
				if w.Code != http.StatusOK || strings.Count(w.Body.String(), "heteroaccel_device_info{") != 8 {
					b.Fatalf("status %d: %s", w.Code, w.Body)
				}
			}
			b.ReportMetric(float64(processorTime(b)-before)/float64(b.N), "cpu-ns/op")
		})
	}
}

// processorTime is for how long this process has run on any core, which other
// work on the machine changes less than what the clock shows.
func processorTime(b *testing.B) time.Duration {
	b.Helper()
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		b.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// BenchmarkMemory is what the program keeps in memory on a busy node, after a
// thousand scrapes: what is resident then, its own and of the program's file, and the most
// that ever was.
func BenchmarkMemory(b *testing.B) {
	for b.Loop() {
		sys, proc, socket := busyNode(b)
		address, pid := launch(b, "--node-name", "g", "--path.sysfs", sys, "--path.procfs", proc, "--podresources-socket", socket, "--scrape-timeout", "20s")
		for range 1000 {
			resp, err := http.Get(address + "/metrics")
			if err != nil {
				b.Fatal(err)
			}
			if _, err := io.Copy(io.Discard, resp.Body); err != nil || resp.StatusCode != http.StatusOK {
				b.Fatalf("%s, %v", resp.Status, err)
			}
			resp.Body.Close()
		}
		b.ReportMetric(memory(b, pid, "RssAnon"), "anon-MB")
		b.ReportMetric(memory(b, pid, "RssFile"), "file-MB")
		b.ReportMetric(memory(b, pid, "VmRSS"), "resident-MB")
		b.ReportMetric(memory(b, pid, "VmHWM"), "peak-MB")
	}
	b.ReportMetric(0, "ns/op") // a time without meaning
}

// memory reads a size from a process's status, in megabytes.
func memory(b *testing.B, pid int, name string) float64 {
	b.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		b.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		fields := strings.Fields(line)
		if len(fields) == 3 && fields[0] == name+":" {
			kilobytes, err := strconv.ParseFloat(fields[1], 64)
			if err != nil {
				b.Fatal(err)
			}
			return kilobytes * 1024 / 1e6
		}
	}
	b.Fatalf("the status of process %d has no %s", pid, name)
	return 0
}
