package learning_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/inventory"
	"heteroaccel.io/pkg/servicetime"
)

func TestFinished(t *testing.T) {
	tests := map[string]struct {
		pod  *inventory.Pod
		want int64
	}{
		"succeeded":              {ran("a", "GPU"), 1},
		"failed":                 {ran("a", "GPU", func(p *inventory.Pod) { p.Run.Succeeded = false }), 0},
		"deleted":                {ran("a", "GPU", func(p *inventory.Pod) { p.Deleted = true }), 0},
		"a server that ended":    {ran("a", "GPU", func(p *inventory.Pod) { p.Run.Ends = false }), 0},
		"not ours":               {ran("a", "GPU", func(p *inventory.Pod) { p.Managed = nil }), 0},
		"its times are lost":     {ran("a", "GPU", func(p *inventory.Pod) { p.Run.Started = time.Time{} }), 0},
		"its device unwritten":   {ran("a", "GPU", func(p *inventory.Pod) { p.Managed.Unwritten = true }), 0},
		"of no kind":             {ran("a", ""), 0},
		"a kind with no variant": {ran("a", "FPGA"), 0},
		"no such profile":        {ran("c", "GPU"), 0},

		"another image":        {ran("a", "GPU", func(p *inventory.Pod) { p.Run.Image = "busybox" }), 0},
		"an image put back":    {ran("a", "GPU", func(p *inventory.Pod) { p.Run.Altered = true }), 0},
		"another device":       {ran("a", "GPU", func(p *inventory.Pod) { p.Run.Device = "CPU" }), 0},
		"no device's name":     {ran("a", "GPU", func(p *inventory.Pod) { p.Run.Device = "" }), 0},
		"without the limits":   {ran("a", "GPU", func(p *inventory.Pod) { p.Needs.Devices = nil }), 0},
		"another's limits":     {ran("a", "GPU", func(p *inventory.Pod) { p.Needs = ran("a", "NPU").Needs }), 0},
		"a node without a GPU": {ran("a", "GPU", func(p *inventory.Pod) { p.Node = "x.io/NPU" }), 0},
		"a node nobody knows":  {ran("a", "GPU", func(p *inventory.Pod) { p.Node = "gone" }), 0},
		"ends in the future":   {ran("a", "GPU", func(p *inventory.Pod) { p.Run.Ended = epoch.Add(time.Hour) }), 0},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.Finished(tt.pod)
			r.flush(t)
			if got := r.runsWritten("a", "GPU"); got != tt.want || len(r.writes) != int(tt.want) {
				t.Errorf("%d runs in %v, want %d", got, r.writes, tt.want)
			}
			if got := r.in("default", "a", "GPU").Time(); tt.want > 0 && got != 2*time.Second {
				t.Errorf("it took %s", got)
			}
		})
	}
}

// TestBatches: any number of pods is one write for each profile.
func TestBatches(t *testing.T) {
	r := newRig(t)
	for range 1000 {
		r.Finished(ran("a", "GPU"))
		r.Finished(ran("a", "NPU"))
		r.Finished(ran("b", "GPU"))
	}
	r.flush(t)
	if diff := cmp.Diff([]string{"a", "b"}, r.writes); diff != "" {
		t.Errorf("writes (-want +got):\n%s", diff)
	}
	for _, got := range []int64{r.runsWritten("a", "GPU"), r.runsWritten("a", "NPU"), r.runsWritten("b", "GPU")} {
		if got != 1000 {
			t.Errorf("%d runs, want 1000", got)
		}
	}
	if n := len(r.in("default", "a", "GPU").Recent); n != servicetime.Window {
		t.Errorf("%d runs were kept in memory, want %d", n, servicetime.Window)
	}
}

// TestFewWrites: with many profiles each round writes some of them, in turn.
func TestFewWrites(t *testing.T) {
	r := newRig(t)
	const profiles = 25
	for i := range profiles {
		name := fmt.Sprintf("p-%02d", i)
		r.set(t, resourceOf(name, "image"))
		r.Finished(ran(name, "GPU"))
	}
	for _, want := range []int{10, 20, 25, 25} {
		r.flush(t) // one round
		if len(r.writes) != want {
			t.Fatalf("%d writes, want %d", len(r.writes), want)
		}
	}
	for i, name := range r.writes {
		if want := fmt.Sprintf("p-%02d", i); name != want {
			t.Errorf("write %d is of %s, want %s", i, name, want)
		}
	}
}

// TestOnlyTheLeaderLearns: neither is counted nor written what comes while
// another replica decides.
func TestOnlyTheLeaderLearns(t *testing.T) {
	r := newRig(t)
	r.leads = errors.New("another replica decides")
	r.Finished(ran("a", "GPU"))
	r.flush(t)
	if len(r.writes) != 0 {
		t.Errorf("written: %v", r.writes)
	}
}

// TestWritesAgain: what was not written is written later, behind nothing and
// once; what may have been written is let go.
func TestWritesAgain(t *testing.T) {
	r := newRig(t)
	r.answer = func(string) (bool, error) {
		r.mu.Unlock()
		r.Finished(ran("a", "GPU")) // meanwhile
		r.mu.Lock()
		return true, errors.New("changed meanwhile")
	}
	r.Finished(ran("a", "GPU"))
	r.flush(t)
	r.answer = nil
	r.flush(t)
	if got := r.runsWritten("a", "GPU"); got != 2 {
		t.Errorf("%d runs, want 2", got)
	}
	r.answer = func(string) (bool, error) { return false, errors.New("the connection broke") }
	r.Finished(ran("a", "GPU"))
	r.flush(t)
	r.answer = nil
	r.flush(t)
	if got := r.runsWritten("a", "GPU"); got != 2 || len(r.writes) != 3 {
		t.Errorf("%d runs in %d writes, want 2 in 3", got, len(r.writes))
	}
}

// TestEdited: pods that were made before their variant was edited tell nothing
// of it.
func TestEdited(t *testing.T) {
	r := newRig(t)
	before, after := resourceOf("a", "image"), resourceOf("a", "image")
	after.Generation++
	after.Spec.Variants[0].Image = "new"
	r.now = epoch.Add(10 * time.Second)
	r.set(t, after)
	edited := func(p *inventory.Pod) { p.Run.Image = "new" }
	r.SetProfile(before)
	r.SetProfile(after)
	made := func(at time.Duration) func(*inventory.Pod) {
		return func(p *inventory.Pod) { p.Run.Created = epoch.Add(at) }
	}
	r.Finished(ran("a", "GPU", made(0)))
	r.Finished(ran("a", "GPU", edited, made(0)))
	r.Finished(ran("a", "NPU", made(0))) // not edited
	r.Finished(ran("a", "GPU", edited, made(11*time.Second)))
	r.SetProfile(after) // nothing new
	r.Finished(ran("a", "GPU", edited, made(11*time.Second)))
	r.flush(t)
	if gpu, npu := r.runsWritten("a", "GPU"), r.runsWritten("a", "NPU"); gpu != 2 || npu != 1 {
		t.Errorf("%d runs on GPU and %d on NPU, want 2 and 1", gpu, npu)
	}
	v, _ := r.profiles.Get("a")
	if got := r.written["a"]["GPU"].Hash; got != v.Variant("GPU").Hash {
		t.Errorf("the runs are of variant %s, want %s", got, v.Variant("GPU").Hash)
	}
	// Runs that wait to be written when their variant is edited do not join
	// those of the new one.
	r = newRig(t)
	r.Finished(ran("a", "GPU"))
	r.set(t, after)
	r.Finished(ran("a", "GPU", edited))
	r.flush(t)
	if got := r.runsWritten("a", "GPU"); got != 1 {
		t.Errorf("%d runs of the edited variant, want 1", got)
	}
	r.DeleteProfile(types.NamespacedName{Name: "a"})
}

// TestReset: pods from before a reset tell nothing, nor do runs that wait to be
// written when it comes.
func TestReset(t *testing.T) {
	r := newRig(t)
	in := resourceOf("a", "image")
	r.SetProfile(in)
	r.Finished(ran("a", "GPU"))
	in = in.DeepCopy()
	in.Annotations = map[string]string{accel.ResetLearnedAnnotation: "1"}
	r.set(t, in)
	r.SetProfile(in)
	r.Finished(ran("a", "GPU")) // the status does not show it yet
	in = in.DeepCopy()
	in.Status.LearnedReset, in.Status.LearnedSince = "1", &metav1.Time{Time: epoch}
	r.set(t, in)
	r.SetProfile(in)
	r.Finished(ran("a", "GPU"))
	r.flush(t)
	if len(r.writes) > 0 {
		t.Errorf("runs from before were written: %v", r.written)
	}
	r.Finished(ran("a", "GPU", func(p *inventory.Pod) { p.Run.Created = epoch.Add(time.Second) }))
	r.flush(t)
	if got := r.runsWritten("a", "GPU"); got != 1 {
		t.Errorf("%d runs from after it were written, want 1", got)
	}
}

// TestResetWhileWriting: runs that are being written when a profile is reset come from
// before that. The reset is what their write conflicts with.
func TestResetWhileWriting(t *testing.T) {
	r := newRig(t)
	in := resourceOf("a", "image")
	r.SetProfile(in)
	r.Finished(ran("a", "GPU"))
	reset := in.DeepCopy()
	reset.Annotations = map[string]string{accel.ResetLearnedAnnotation: "1"}
	r.answer = func(string) (bool, error) {
		r.SetProfile(reset)
		return true, errors.New("conflict")
	}
	r.flush(t)
	r.answer = nil
	r.flush(t)
	if got := r.runsWritten("a", "GPU"); got != 0 {
		t.Errorf("%d runs from before it were written", got)
	}
}

// TestUnwrittenIsBounded: while nothing can be written, namespaces that come and go
// fill no memory, and what one of them runs is its own.
func TestUnwrittenIsBounded(t *testing.T) {
	r := newRig(t)
	for i := range 1000 {
		took := time.Duration(1+i%2) * time.Second
		r.Finished(ran("a", "GPU", func(p *inventory.Pod) { p.Namespace, p.Run.Ended = fmt.Sprint("n", i), epoch.Add(took) }))
	}
	for range 100 {
		r.Finished(ran("a", "GPU", func(p *inventory.Pod) { p.Namespace, p.Run.Ended = "n1", epoch }))
	}
	r.flush(t)
	if got := len(r.written["a"]["GPU"].By); got != 64 {
		t.Errorf("%d namespaces wait to be written, want 64", got)
	}
	if first, second := r.in("n0", "a", "GPU"), r.in("n1", "a", "GPU"); first.Time() != time.Second || second.Runs != 101 {
		t.Errorf("n0 took %s, n1 ran %d", first.Time(), second.Runs)
	}
}

// TestManyAtOnce is for the race detector: pods end, profiles change, writes
// fail, and every run is written exactly once.
func TestManyAtOnce(t *testing.T) {
	r := newRig(t)
	n := 0
	r.answer = func(string) (bool, error) {
		if n++; n%3 == 0 {
			return true, errors.New("changed meanwhile")
		}
		return false, nil
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	const each, workers = 500, 8
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			name := []string{"a", "b"}[w%2]
			for range each {
				r.Finished(ran(name, "GPU"))
				same := resourceOf(name, "image")
				r.SetProfile(same)
			}
		})
	}
	wg.Wait()
	deadline := time.After(30 * time.Second)
	for r.runsWritten("a", "GPU")+r.runsWritten("b", "GPU") < each*workers {
		select {
		case <-r.wrote:
		case <-deadline:
			t.Fatalf("%d runs were written, want %d", r.runsWritten("a", "GPU")+r.runsWritten("b", "GPU"), each*workers)
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if got := r.runsWritten("a", "GPU") + r.runsWritten("b", "GPU"); got != each*workers {
		t.Errorf("%d runs were written, want %d", got, each*workers)
	}
}
