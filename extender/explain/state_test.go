package explain

import (
	"testing"

	"heteroaccel.io/extender/live"
	"heteroaccel.io/pkg/accel"
)

// TestState: the word for a device, and what of it counts as in use and as free.
func TestState(t *testing.T) {
	one := []holderView{{Slots: 1}}
	for name, tt := range map[string]struct {
		device  accel.Device
		holders []holderView
		stale   bool
		want    string
		share   live.Share
	}{
		"free":                     {accel.Device{Slots: 1, Health: accel.Healthy}, nil, false, "idle", live.Share{Total: 1, Idle: 1}},
		"held":                     {accel.Device{Slots: 1, Health: accel.Healthy}, one, false, "busy", live.Share{Total: 1, Busy: 1}},
		"held by one of four":      {accel.Device{Slots: 4}, one, false, "shared 1 of 4", live.Share{Total: 1, Busy: .25, Idle: .75}},
		"held by more than it has": {accel.Device{Slots: 2}, []holderView{{Slots: 3}}, false, "shared 3 of 2", live.Share{Total: 1, Busy: 1}},
		"unhealthy":                {accel.Device{Slots: 1, Health: accel.Unhealthy}, one, false, "unhealthy", live.Share{Total: 1}},
		"in external use":          {accel.Device{Slots: 1, ExternalUse: "ffmpeg"}, nil, false, "external (ffmpeg)", live.Share{Total: 1}},
		"of unknown health":        {accel.Device{Slots: 1, Health: accel.HealthUnknown}, nil, false, "unknown", live.Share{Total: 1}},
		"stale":                    {accel.Device{Slots: 1, Health: accel.Healthy}, nil, true, "unknown", live.Share{Total: 1}},
		"stale, and held":          {accel.Device{Slots: 1, Health: accel.Healthy}, one, true, "busy", live.Share{Total: 1, Busy: 1}},
		"unknown to the kubelet":   {accel.Device{Slots: 1, Health: accel.Healthy, Allocated: -1}, nil, false, "unknown", live.Share{Total: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			if got, share := state(tt.device, tt.holders, !tt.stale); got != tt.want || share != tt.share {
				t.Errorf("%s %+v, want %s %+v", got, share, tt.want, tt.share)
			}
		})
	}
}
