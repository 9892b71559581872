package accel

import (
	"encoding/json"
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
		"healthy":                       {Device{Health: Healthy, Slots: 4, Allocated: 1}, 0},
		"unhealthy":                     {Device{Health: Unhealthy, Slots: 4, Allocated: 1}, 3},
		"unknown":                       {Device{Health: HealthUnknown, Slots: 4, Allocated: 1}, 0},
		"in external use":               {Device{Health: Healthy, ExternalUse: "ffmpeg", Slots: 4, Allocated: 1}, 3},
		"unknown and in external use":   {Device{ExternalUse: "ffmpeg", Slots: 4, Allocated: 1}, 3},
		"unhealthy, holders unknown":    {Device{Health: Unhealthy, Slots: 4, Allocated: -1}, 4},
		"more allocated than there are": {Device{Health: Unhealthy, Slots: 1, Allocated: 2}, 0},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := tt.device.Blocked(); got != tt.want {
				t.Errorf("got %d, want %d", got, tt.want)
			}
			if usable := tt.device.Usable(); usable != (name == "healthy" || name == "unknown") {
				t.Errorf("usable: %v", usable)
			}
		})
	}
}

func TestHealth(t *testing.T) {
	for word, health := range map[string]Health{"healthy": Healthy, "unhealthy": Unhealthy, "unknown": HealthUnknown} {
		text, err := json.Marshal(Device{Health: health})
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(text), `"health":"`+word+`"`) {
			t.Errorf("%s is written as %s", word, text)
		}
		var d Device
		if err := json.Unmarshal(text, &d); err != nil || d.Health != health {
			t.Errorf("%s is read as %s, %v", text, d.Health, err)
		}
	}
	if (Device{}).Health != HealthUnknown {
		t.Error("what nobody has said is not unknown")
	}
	if err := json.Unmarshal([]byte(`{"health":"well"}`), new(Device)); err == nil || !strings.Contains(err.Error(), "healthy, unhealthy or unknown") {
		t.Errorf("error %v", err)
	}
}
