package learning_test

import (
	"testing"
	"time"

	"heteroaccel.io/pkg/inventory"
)

// TestServes: a server tells how long its variant takes while it runs what it was given.
func TestServes(t *testing.T) {
	server := func(change ...func(*inventory.Pod)) *inventory.Pod {
		return ran("a", "GPU", append([]func(*inventory.Pod){func(p *inventory.Pod) {
			p.Done, p.Run.Ends, p.Run.Succeeded = false, false, false
		}}, change...)...)
	}
	for name, c := range map[string]struct {
		pod  *inventory.Pod
		want bool
	}{
		"a server":              {server(), true},
		"a Job's":               {ran("a", "GPU"), false},
		"being deleted":         {server(func(p *inventory.Pod) { p.Deleted = true }), false},
		"of another image":      {server(func(p *inventory.Pod) { p.Run.Image = "mine" }), false},
		"of an unknown kind":    {server(func(p *inventory.Pod) { p.Managed.Kind = "FPGA" }), false},
		"told no device":        {server(func(p *inventory.Pod) { p.Managed.Unwritten = true }), false},
		"on a node without one": {server(func(p *inventory.Pod) { p.Node = "n" }), false},
	} {
		r := newRig(t)
		of, _ := r.profiles.Get("a")
		if v, ok := r.Serves(c.pod, of); ok != c.want || ok && v.Kind != "GPU" {
			t.Errorf("%s: %t, want %t", name, ok, c.want)
		}
	}
}

// TestServesAfterReset: what was learned may have been reset since a server was created, but
// not its variant edited.
func TestServesAfterReset(t *testing.T) {
	r := newRig(t)
	in := resourceOf("a", "image")
	r.SetProfile(in)
	pod := ran("a", "GPU", func(p *inventory.Pod) { p.Done, p.Run.Ends = false, false })
	of, _ := r.profiles.Get("a")
	reset := *of
	reset.LearnedSince = pod.Run.Created.Add(time.Hour)
	if _, ok := r.Serves(pod, &reset); !ok {
		t.Error("it is not read any more after a reset")
	}
	reset.ResetPending = true
	if _, ok := r.Serves(pod, &reset); ok {
		t.Error("it is read while a reset is pending")
	}
	r.mu.Lock()
	r.now = pod.Run.Created.Add(time.Hour)
	r.mu.Unlock()
	edited := in.DeepCopy()
	edited.Generation++
	edited.Spec.Variants[0].Args = []string{"--other"}
	r.set(t, edited)
	r.SetProfile(edited)
	of, _ = r.profiles.Get("a")
	if _, ok := r.Serves(pod, of); ok {
		t.Error("it is read although it runs the variant as it was before an edit")
	}
}
