package collector

import (
	"context"
	"flag"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/rs/zerolog"

	"heteroaccel.io/exporter/podresources"
	"heteroaccel.io/exporter/testmachine"
	"heteroaccel.io/pkg/telemetry"
	"heteroaccel.io/pkg/telemetry/exposition"
)

var update = flag.Bool("update", false, "update the golden files")

// kubelets are the answers of the machines' kubelets: the plugin's ids by
// resource, each with the pod that holds it after a "=", and claims.
var kubelets = map[string]struct {
	slots  map[string][]string
	claims []podresources.Claim
}{
	"a100-mig": {slots: map[string][]string{
		"nvidia.com/mig-1g.10gb": {"MIG-1b2c8d3e-0f4a-5b6c-8d7e-9f0a1b2c3d4e=small", "MIG-2c3d9e4f-1a5b-5c6d-9e8f-0a1b2c3d4e5f"},
		"nvidia.com/mig-3g.40gb": {"MIG-3d4e0f5a-2b6c-5d7e-8f90-1b2c3d4e5f6a"}, "nvidia.com/gpu": {"GPU-b1028956-cfa2-0990-bf4a-5da9abb51763"}}},
	"arc-wedged":   {slots: map[string][]string{"gpu.intel.com/xe": {"card1-0", "card2-0=llm"}, "gpu.intel.com/xe_monitoring": {"all"}}},
	"arria10-dfl":  {slots: map[string][]string{"fpga.intel.com/af-d842": {"dfl-port.0=nlb"}}},
	"arria10-opae": {slots: map[string][]string{"fpga.intel.com/region-6952": {"intel-fpga-fme.0"}}},
	"cloud-ai-100": {slots: map[string][]string{"qualcomm.com/qaic": {"accel0", "accel1"}, "squat.ai/npu": {"c1d2e3f4a5b6c7d8e9f0a1b2c3d4e5f6a7b8c9d0=voice"}}},
	"core-ultra":   {slots: map[string][]string{"gpu.intel.com/i915": {"card1-0"}, "gpu.intel.com/i915_monitoring": {"all"}, "npu.intel.com/accel": {"accel0-0=whisper"}}},
	"eight-devices": {slots: map[string][]string{
		"fpga.intel.com/af-d842": {"dfl-port.0=nlb"}, "npu.intel.com/accel": {"accel0-0"}, "vpu.intel.com/hddl": {"usb-1-5=action", "usb-1-6"},
		"gpu.intel.com/i915": {"card3-0=face", "card4-0"}, "gpu.intel.com/xe": {"card1-0=text", "card2-0"}}},
	"flex-passthrough": {slots: map[string][]string{"example.com/flex-vf": {"0000:4d:00.1=desktop", "0000:4d:00.2"}, "example.com/flex": {"0000:5a:00.0"}}},
	"flex-sriov":       {slots: map[string][]string{"gpu.intel.com/i915": {"card1-0=face"}}},
	"flex-xe":          {claims: []podresources.Claim{{Holder: podresources.Holder{Namespace: "default", Pod: "llm", Container: "main"}, Name: "llm-gpu", Driver: "gpu.intel.com", Pool: "flex-xe", Device: "0000-b3-00-0-0x56c0"}}},
	"gaudi2":           {slots: map[string][]string{"habana.ai/gaudi": {"0000:19:00.0=summaries", "0000:1a:00.0", "0000:b3:00.0", "0000:b4:00.0", "0000:cc:00.0"}}},
	"iris-xe":          {slots: map[string][]string{"gpu.intel.com/i915": {"card0-0=face", "card0-1", "card0-2=text"}}},
	"mi300x-parts":     {slots: map[string][]string{"amd.com/cpx_nps1": {"0000:05:00.0=a", "amdgpu_xcp_0=b", "amdgpu_xcp_1", "amdgpu_xcp_2"}, "amd.com/spx_nps1": {"0000:26:00.0"}}},
	"nvidia-compute":   {slots: map[string][]string{"nvidia.com/gpu": {"GPU-82523fd8-3897-f599-d088-ccd04ae45ec1=train", "GPU-0a5f3c9e-4f44-4c80-9d0c-6f2a3b1c0d9e"}}},
	"nvidia-drm":       {slots: map[string][]string{"nvidia.com/gpu": {"GPU-edfee158-11c1-52b8-0517-92f30e7fac88::0", "GPU-edfee158-11c1-52b8-0517-92f30e7fac88::1"}}},
	"radeon":           {slots: map[string][]string{"amd.com/gpu": {"0000:0d:00.0"}}},
	"raspberry-pi":     {slots: map[string][]string{"squat.ai/gpu": {"9f8e7d6c5b4a39281706f5e4d3c2b1a09f8e7d6c=kiosk", "0a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d"}}},
	"rk3588":           {slots: map[string][]string{"squat.ai/npu": {"b5c1d0a9f7e34c2d8a6b1e0f4d3c2b1a90817263"}}},
	"stick-booted":     {slots: map[string][]string{"vpu.intel.com/hddl": {"hddl-0=action"}}},
	"stick-unbooted":   {slots: map[string][]string{"vpu.intel.com/hddl": {"hddl-0"}}},
	"two-gpus":         {slots: map[string][]string{"gpu.intel.com/i915": {"card1-0"}, "gpu.intel.com/xe": {"card0-0=face"}}},
}

// kubeletOf answers for a machine.
func kubeletOf(machine string) Kubelet {
	a := podresources.Answer{Allocatable: map[podresources.Slot]bool{}, Held: map[podresources.Slot]podresources.Holder{}}
	for resource, ids := range kubelets[machine].slots {
		for _, id := range ids {
			id, pod, held := strings.Cut(id, "=")
			slot := podresources.Slot{Resource: resource, DeviceID: id}
			a.Allocatable[slot] = true
			if held {
				a.Held[slot] = podresources.Holder{Namespace: "default", Pod: pod, Container: "main"}
			}
		}
	}
	a.Claims = kubelets[machine].claims
	return func(context.Context) (podresources.Answer, error) { return a, nil }
}

// scrape reads a collector's metrics over HTTP, as Prometheus does.
func scrape(t testing.TB, c prometheus.Collector) string {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(c)
	w := httptest.NewRecorder()
	promhttp.HandlerFor(registry, promhttp.HandlerOpts{}).ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	if w.Code != 200 {
		t.Fatalf("status %d: %s", w.Code, w.Body)
	}
	return w.Body.String()
}

// decode reads a page as a monitor does.
func decode(t testing.TB, page string) telemetry.Scrape {
	t.Helper()
	series, err := exposition.Parse(strings.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	s, err := telemetry.Decode(series, time.Time{})
	if err != nil {
		t.Fatalf("%v:\n%s", err, page)
	}
	return s
}

// recorder keeps what a collector collected: a second scrape may find other loads.
type recorder struct {
	*Collector
	last telemetry.Scrape
}

func (r *recorder) Collect(ch chan<- prometheus.Metric) {
	r.last = r.Scrape()
	exposition.Collect(ch, r.last)
}

var durations = regexp.MustCompile(`(?m)^(# .* )?heteroaccel_scrape_collector_duration_seconds.*\n`)

// The whole page of each machine; a monitor reads from it what was collected.
func TestMachines(t *testing.T) {
	for _, name := range testmachine.Names(t) {
		t.Run(name, func(t *testing.T) {
			sys, proc := testmachine.Write(t, name)
			c := New(Config{Node: name, Sys: sys, Proc: proc, ExternalUse: true, Timeout: time.Minute}, kubeletOf(name), zerolog.Nop())
			collected := &recorder{Collector: c}
			page := scrape(t, collected)
			got := durations.ReplaceAllString(page, "")
			path := filepath.Join("testdata", name+".prom")
			if *update {
				if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
			read := decode(t, page)
			for _, state := range read.Collectors {
				if !state.OK {
					t.Errorf("collector %s failed", state.Name)
				}
			}
			byName := cmpopts.SortSlices(func(x, y telemetry.Collector) bool { return x.Name < y.Name })
			if diff := cmp.Diff(collected.last, read, byName, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("collected and read (-want +got)\n%s", diff)
			}
		})
	}
}
