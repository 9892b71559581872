package inventory

import (
	"testing"
	"time"

	"heteroaccel.io/pkg/accel"
)

// TestClaims asks what one more pod would find: on node g of room 1 with one
// GPU and node h of room 2 with two, unless the case says otherwise.
func TestClaims(t *testing.T) {
	room := func(n string) podOption { return selects("room", n) }
	tests := map[string]struct {
		do     func(w *world)
		option Option
		want   sums
	}{
		"a pod waits": {
			do:   func(w *world) { w.SetPod(aPod("p", asks(gpu, "1"), ours("GPU", ""))) },
			want: sums{Total: 3, Usable: 3, Claimed: 1},
		},
		"a pod waits that is not ours": {
			do:   func(w *world) { w.SetPod(aPod("p", asks(gpu, "1"))) },
			want: sums{Total: 3, Usable: 3, Claimed: 1},
		},
		"a pod waits for another kind": {
			do:   func(w *world) { w.SetPod(aPod("p", asks(npu, "1"))) },
			want: sums{Total: 3, Usable: 3},
		},
		"a pod waits for nothing of the sort": {
			do:   func(w *world) { w.SetPod(aPod("p", asks("cpu", "8"))) },
			want: sums{Total: 3, Usable: 3},
		},
		"a pod waits for a scheduler of ours": {
			do: func(w *world) {
				w.opts.Schedulers = []string{"default-scheduler", "edge"}
				w.SetPod(aPod("p", asks(gpu, "1"), scheduledBy("edge")))
				w.SetPod(aPod("q", asks(gpu, "1"), scheduledBy("default-scheduler")))
			},
			want: sums{Total: 3, Usable: 3, Claimed: 2},
		},
		"a pod waits for another scheduler": {
			do: func(w *world) {
				w.opts.Schedulers = []string{"default-scheduler"}
				w.SetPod(aPod("p", asks(gpu, "1"), scheduledBy("volcano")))
			},
			want: sums{Total: 3, Usable: 3},
		},
		"another scheduler bound it": {
			do: func(w *world) {
				w.opts.Schedulers = []string{"default-scheduler"}
				w.SetPod(aPod("p", asks(gpu, "1"), scheduledBy("volcano")))
				w.SetPod(aPod("p", asks(gpu, "1"), scheduledBy("volcano"), on("g")))
			},
			want: sums{Total: 3, Usable: 2},
		},
		"any scheduler, when none is named": {
			do:   func(w *world) { w.SetPod(aPod("p", asks(gpu, "1"), scheduledBy("volcano"))) },
			want: sums{Total: 3, Usable: 3, Claimed: 1},
		},
		"gated": {
			do:   func(w *world) { w.SetPod(aPod("p", asks(gpu, "1"), gated)) },
			want: sums{Total: 3, Usable: 3},
		},
		"being deleted": {
			do:   func(w *world) { w.SetPod(aPod("p", asks(gpu, "1"), deleted)) },
			want: sums{Total: 3, Usable: 3},
		},
		"no longer gated": {
			do: func(w *world) {
				w.SetPod(aPod("p", asks(gpu, "1"), gated))
				w.SetPod(aPod("p", asks(gpu, "1")))
			},
			want: sums{Total: 3, Usable: 3, Claimed: 1},
		},
		"seen twice": {
			do: func(w *world) {
				w.SetPod(aPod("p", asks(gpu, "1")))
				w.SetPod(aPod("p", asks(gpu, "1")))
			},
			want: sums{Total: 3, Usable: 3, Claimed: 1},
		},
		"deleted": {
			do: func(w *world) {
				w.SetPod(aPod("p", asks(gpu, "1")))
				w.DeletePod("default", "p")
			},
			want: sums{Total: 3, Usable: 3},
		},
		"bound": {
			do: func(w *world) {
				w.SetPod(aPod("p", asks(gpu, "1")))
				w.SetPod(aPod("p", asks(gpu, "1"), on("g")))
			},
			want: sums{Total: 3, Usable: 2},
		},
		"two at once": {
			do:   func(w *world) { w.SetPod(aPod("p", asks(gpu, "2"))) },
			want: sums{Total: 3, Usable: 3, Claimed: 2},
		},
		"more than a node has: it will never run": {
			do:   func(w *world) { w.SetPod(aPod("p", asks(gpu, "3"))) },
			want: sums{Total: 3, Usable: 3},
		},
		"absurdly many": {
			do:   func(w *world) { w.SetPod(aPod("p", asks(gpu, "9000000000000000000"))) },
			want: sums{Total: 3, Usable: 3},
		},
		"its memory never fits": {
			do:   func(w *world) { w.SetPod(aPod("p", asks(gpu, "1"), asks("memory", "64Gi"))) },
			want: sums{Total: 3, Usable: 3},
		},
		"more wait than there is": {
			do: func(w *world) {
				for _, name := range []string{"a", "b", "c", "d", "e"} {
					w.SetPod(aPod(name, asks(gpu, "1")))
				}
			},
			want: sums{Total: 3, Usable: 3, Claimed: 3, Queued: 2},
		},
		"a reservation": {
			do:   func(w *world) { w.reserve("r", wants(gpu)) },
			want: sums{Total: 3, Usable: 3, Claimed: 1},
		},
		"a reservation and a pod that is alike": {
			do: func(w *world) {
				w.reserve("r", wants(gpu))
				w.SetPod(aPod("p", asks(gpu, "1")))
			},
			want: sums{Total: 3, Usable: 3, Claimed: 2},
		},
		"a reservation for ever": {
			do: func(w *world) {
				w.reserve("r", wants(gpu))
				w.now = w.now.Add(30*time.Second + 1)
			},
			want: sums{Total: 3, Usable: 3},
		},
		"restricted to the other node": {
			do:     func(w *world) { w.SetPod(aPod("p", asks(gpu, "1"), room("1"))) },
			option: wants(gpu, room("2")),
			want:   sums{Total: 2, Usable: 2},
		},
		"restricted to the other node, which is busy": {
			do: func(w *world) {
				w.SetPod(aPod("q", asks(gpu, "1"), on("g")))
				w.SetPod(aPod("p", asks(gpu, "1"), room("1")))
			},
			option: wants(gpu, room("2")),
			want:   sums{Total: 2, Usable: 2},
		},
		"restricted to one of the nodes, which is busy": { // it can take nothing on h
			do: func(w *world) {
				w.SetPod(aPod("q", asks(gpu, "1"), on("g")))
				w.SetPod(aPod("p", asks(gpu, "1"), room("1")))
			},
			want: sums{Total: 3, Usable: 2, Queued: 1},
		},
		"restricted claims are placed first": { // p gets g, and the three others h's two
			do: func(w *world) {
				for _, name := range []string{"a", "b", "c"} {
					w.SetPod(aPod(name, asks(gpu, "1")))
				}
				w.SetPod(aPod("p", asks(gpu, "1"), room("1")))
			},
			want: sums{Total: 3, Usable: 3, Claimed: 3, Queued: 1},
		},
		"cores: half as many are half a slot": { // 8 cores a node, 2 a slot; 1 core is a slot
			do:     func(w *world) { w.SetPod(aPod("p", asks("cpu", "1"), ours(accel.CPU, ""))) },
			option: wants(""),
			want:   sums{Total: 8, Usable: 8, Claimed: 1},
		},
		"cores: three times as many": {
			do:     func(w *world) { w.SetPod(aPod("p", asks("cpu", "6"), ours(accel.CPU, ""))) },
			option: wants(""),
			want:   sums{Total: 8, Usable: 8, Claimed: 3},
		},
		"cores: those of pods that are not ours are the scheduler's": {
			do:     func(w *world) { w.SetPod(aPod("p", asks("cpu", "6"))) },
			option: wants(""),
			want:   sums{Total: 8, Usable: 8},
		},
		"cores: a pod that waits for a device claims none": {
			do:     func(w *world) { w.SetPod(aPod("p", asks("cpu", "6"), asks(gpu, "1"), ours("GPU", ""))) },
			option: wants(""),
			want:   sums{Total: 8, Usable: 8},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			option := tt.option
			if option.Kind == "" {
				option = wants(gpu)
			}
			w := newWorld()
			w.SetNode(aNode("g", has(gpu, 1), labelled("room", "1")))
			w.SetNode(aNode("h", has(gpu, 2), labelled("room", "2")))
			tt.do(w)
			got := sumsOf(w.look(option))
			got.Nodes, got.Stale = 0, 0
			if got != tt.want {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
		})
	}
}

func TestRunning(t *testing.T) {
	w := newWorld(func(o *Options) {
		o.ServiceTime = func(inference string, kind accel.Kind) time.Duration {
			if inference == "faces" && kind == "GPU" {
				return 10 * time.Second
			}
			return 0
		}
	})
	w.SetNode(aNode("g", has(gpu, 5)))
	w.SetPod(aPod("ours", on("g"), asks(gpu, "2"), ours("GPU", ""), since(w.now.Add(-4*time.Second))))
	w.SetPod(aPod("theirs", on("g"), asks(gpu, "1"), since(w.now.Add(-time.Minute))))
	w.SetPod(aPod("server", on("g"), asks(gpu, "1"), restarts, since(w.now.Add(-time.Hour))))
	w.SetPod(aPod("pulls its image", on("g"), asks(gpu, "1")))
	w.SetPod(aPod("elsewhere", on("g"), asks("cpu", "1"), ours(accel.CPU, "")))
	c := w.look(wants(gpu))
	want := map[Running]int{
		{Elapsed: 4 * time.Second, Service: 10 * time.Second, Ends: true}: 2, // it holds two
		{Elapsed: time.Minute, Ends: true}:                                1,
		{Elapsed: time.Hour}:                                              1,
		{Ends: true}:                                                      1,
	}
	got := map[Running]int{}
	for _, r := range c.Running {
		got[r]++
	}
	for r, n := range want {
		if got[r] != n {
			t.Errorf("%+v: got %d times, want %d", r, got[r], n)
		}
	}
	if len(c.Running) != 5 || c.Ending != 4 {
		t.Errorf("%d running and %d slots that end, want 5 and 4", len(c.Running), c.Ending)
	}
	w.DeletePod("default", "theirs")
	if c := w.look(wants(gpu)); c.Running != nil || c.Ending != 3 {
		t.Errorf("with one idle: running %v, ending %d, want none and 3", c.Running, c.Ending)
	}
}

func TestRunningIsBoundedInALargeCluster(t *testing.T) {
	w := newWorld()
	for i := range 500 {
		name := "n" + string(rune('0'+i/100)) + string(rune('0'+i/10%10)) + string(rune('0'+i%10))
		w.SetNode(aNode(name, has(gpu, 1)))
		w.SetPod(aPod("p"+name, on(name), asks(gpu, "1"), since(w.now)))
	}
	c := w.look(wants(gpu))
	if c.Ending != 500 || len(c.Running) < maxRunningNodes/2 || len(c.Running) > maxRunningNodes {
		t.Errorf("%d of %d listed, want up to %d of 500", len(c.Running), c.Ending, maxRunningNodes)
	}
}

func TestAPodThatRequestsAnAbsurdNumberCountsOnce(t *testing.T) {
	w := newWorld()
	w.SetNode(aNode("g", has(gpu, 2)))
	w.SetPod(aPod("p", on("g"), asks(gpu, "9000000000000000000")))
	if c := w.look(wants(gpu)); len(c.Running) != 2 || c.Ending != 2 {
		t.Errorf("running %d, ending %d, want the node's two slots", len(c.Running), c.Ending)
	}
}
