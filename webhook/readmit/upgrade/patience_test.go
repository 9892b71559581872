package upgrade

import (
	"slices"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/inventory"
)

// TestPatience: a kind has to be idle on end, each for itself, and the server Ready for long
// enough, at the same time.
func TestPatience(t *testing.T) {
	const ms, s = time.Millisecond, time.Second
	rules := Rules{Factor: 1.5, Idle: 30 * s, Uptime: time.Minute}
	began := time.Unix(1_700_000_000, 0)
	var p Patience
	server := Server{Pod: "p", Kind: "CPU", Ready: began}
	look := func(after time.Duration, gpu, npu int64, wantWait time.Duration, want ...accel.Kind) {
		t.Helper()
		c := []inventory.Candidate{candidate("GPU", 50*ms, gpu), candidate("NPU", 150*ms, npu), candidate("CPU", 600*ms, 0)}
		to, wait := p.May(rules, server, c, began.Add(after))
		var got []accel.Kind
		for _, k := range []accel.Kind{"GPU", "NPU"} {
			if to != nil && to(k) {
				got = append(got, k)
			}
		}
		if !slices.Equal(got, want) || wait != wantWait {
			t.Errorf("after %s it may go to %v, or is asked again in %s; want %v, %s", after, got, wait, want, wantWait)
		}
	}
	look(0, 0, 0, 0)
	look(10*s, 1, 0, s)
	look(39*s, 1, 1, s) // the NPU frees
	look(60*s-200*ms, 1, 1, 200*ms)
	look(60*s, 1, 1, 0, "GPU")
	look(61*s, 0, 1, s) // somebody has the GPU for a moment
	look(62*s, 1, 1, s)
	look(69*s, 1, 1, 0, "NPU") // not the GPU
	look(92*s, 1, 1, 0, "GPU", "NPU")
	p.Forget() // somebody waits
	look(93*s, 1, 1, s)
	p.Keep(map[types.UID]bool{"other": true})
	if len(p.since) > 0 {
		t.Error("a server that is gone is kept")
	}
	server.Displaced, server.Ready = "GPU", began.Add(100*s)
	look(100*s, 1, 0, 0, "GPU", "NPU") // which of them, Faster says
	look(100*s, 0, 0, 0)
}
