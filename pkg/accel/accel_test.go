package accel

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
)

func TestParseKind(t *testing.T) {
	tests := map[string]Kind{ // "" is refused
		"gpu": "GPU", " Npu\n": "NPU", "7": "7", "gpu-2.x_y": "GPU-2.X_Y",
		strings.Repeat("a", 32): Kind(strings.Repeat("A", 32)),
		"":                      "", " ": "", "-gpu": "", "gpu-": "", "g pu": "", "g,pu": "", "gpu\x00": "",
		"ſpu": "", "nıpu": "", "ＧＰＵ": "", "g\xffu": "", "gpu\nnpu": "",
		strings.Repeat("a", 33): "", strings.Repeat("a", 1<<20): "",
	}
	for in, want := range tests {
		got, err := ParseKind(in)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%.40q: got %q, %v, want %q", in, got, err, want)
		}
		if err != nil && len(err.Error()) > 500 {
			t.Errorf("%.40q: a message of %d bytes", in, len(err.Error()))
		}
	}
}

func TestJoinKinds(t *testing.T) {
	if got := JoinKinds([]Kind{"GPU", "NPU"}) + JoinKinds(nil); got != "GPU, NPU" {
		t.Errorf("got %q", got)
	}
}

func TestIsDeviceResource(t *testing.T) {
	tests := map[corev1.ResourceName]bool{
		"gpu.intel.com/i915": true, "nvidia.com/gpu": true, "fpga.intel.com/af-ce4.d84": true,
		"heteroaccel.io/other": true, "kubernetes.example.io/x": true,
		"cpu": false, "memory": false, "hugepages-2Mi": false, "ephemeral-storage": false,
		"attachable-volumes-aws-ebs": false, "requests.nvidia.com/gpu": false,
		"kubernetes.io/batch-cpu": false, "scheduling.kubernetes.io/foo": false, "batch.kubernetes.io/x": false,
		"": false, "/": false, "/gpu": false, "nvidia.com/": false, "a/b/c": false,
	}
	for name, want := range tests {
		if got := IsDeviceResource(name); got != want {
			t.Errorf("%q: got %v, want %v", name, got, want)
		}
	}
}

func TestBlocked(t *testing.T) {
	tests := map[string]struct {
		device Device
		want   int
	}{
		"healthy":                       {Device{Healthy: true, Slots: 4, Allocated: 1}, 0},
		"unhealthy":                     {Device{Slots: 4, Allocated: 1}, 3},
		"used from outside":             {Device{Healthy: true, Outside: "ffmpeg", Slots: 4, Allocated: 1}, 3},
		"unhealthy, holders unknown":    {Device{Slots: 4, Allocated: -1}, 4},
		"more allocated than there are": {Device{Slots: 1, Allocated: 2}, 0},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := tt.device.Blocked(); got != tt.want {
				t.Errorf("got %d, want %d", got, tt.want)
			}
			if usable := tt.device.Usable(); usable != (name == "healthy") {
				t.Errorf("usable: %v", usable)
			}
		})
	}
}
