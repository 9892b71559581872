package inventory

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// unschedulable makes a pod one that the scheduler found no node for.
func unschedulable(p *corev1.Pod) {
	p.Status.Conditions = append(p.Status.Conditions, corev1.PodCondition{
		Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: corev1.PodReasonUnschedulable,
		Message: "0/2 nodes are available: pod has unbound immediate PersistentVolumeClaims.",
	})
}

// TestPassedOver: a pod that the scheduler does not bind to an idle device has no
// claim on it, until another device becomes usable.
func TestPassedOver(t *testing.T) {
	late := VerdictGrace + time.Second
	gpus := wants(gpu)
	start := func() *world {
		w := newWorld(func(o *Options) { o.MaxTelemetryAge = time.Hour })
		w.SetNode(aNode("g", has(gpu, 1)))
		w.SetPod(aPod("p", asks(gpu, "1"), unschedulable))
		w.look(gpus)
		return w
	}
	tests := map[string]struct {
		do   func(w *world)
		want sums
	}{
		"the scheduler has not had the time": {
			do:   func(w *world) { w.now = w.now.Add(VerdictGrace) },
			want: sums{Nodes: 1, Stale: 1, Total: 1, Usable: 1, Claimed: 1},
		},
		"it had": {
			do:   func(w *world) { w.now = w.now.Add(late) },
			want: sums{Nodes: 1, Stale: 1, Total: 1, Usable: 1},
		},
		"another pod waits that it has not looked at": {
			do: func(w *world) {
				w.now = w.now.Add(late)
				w.SetPod(aPod("q", asks(gpu, "1")))
			},
			want: sums{Nodes: 1, Stale: 1, Total: 1, Usable: 1, Claimed: 1},
		},
		"a decision is reserved": {
			do: func(w *world) {
				w.now = w.now.Add(late)
				w.reserve("r", gpus)
			},
			want: sums{Nodes: 1, Stale: 1, Total: 1, Usable: 1, Claimed: 1},
		},
		"the device is taken": {
			do: func(w *world) {
				w.now = w.now.Add(late)
				w.SetPod(aPod("q", on("g"), asks(gpu, "1")))
			},
			want: sums{Nodes: 1, Stale: 1, Total: 1, Queued: 1},
		},
		"the device was taken and is free again": {
			do: func(w *world) {
				w.now = w.now.Add(late)
				w.SetPod(aPod("q", on("g"), asks(gpu, "1")))
				w.DeletePod("default", "q")
			},
			want: sums{Nodes: 1, Stale: 1, Total: 1, Usable: 1, Claimed: 1},
		},
		"another node comes": {
			do: func(w *world) {
				w.now = w.now.Add(late)
				w.SetNode(aNode("h", has(gpu, 1)))
			},
			want: sums{Nodes: 2, Stale: 2, Total: 2, Usable: 2, Claimed: 1},
		},
		"and gets passed over as well": {
			do: func(w *world) {
				w.now = w.now.Add(late)
				w.SetNode(aNode("h", has(gpu, 1)))
				w.now = w.now.Add(late)
			},
			want: sums{Nodes: 2, Stale: 2, Total: 2, Usable: 2},
		},
		"the pod goes": {
			do: func(w *world) {
				w.now = w.now.Add(late)
				w.DeletePod("default", "p")
			},
			want: sums{Nodes: 1, Stale: 1, Total: 1, Usable: 1},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			w := start()
			tt.do(w)
			wantSums(t, w.look(gpus), tt.want)
		})
	}
}

// TestPassedOverAndReconsidered: the pod's own claim, left out while it is
// reconsidered, is not subtracted twice.
func TestPassedOverAndReconsidered(t *testing.T) {
	w := newWorld(func(o *Options) { o.MaxTelemetryAge = time.Hour })
	w.SetNode(aNode("g", has(gpu, 2)))
	p := aPod("p", asks(gpu, "1"), unschedulable)
	w.SetPod(p)
	w.SetPod(aPod("q", asks(gpu, "1")))
	w.look(wants(gpu))
	for _, wait := range []time.Duration{0, VerdictGrace + time.Second} {
		w.now = w.now.Add(wait)
		w.Reconsider(Query{Namespace: "default", Options: []Option{wants(gpu)}}, p.Name, p.UID, func(c []Candidate) int {
			if c[0].Claimed != 1 {
				t.Errorf("after %v: %d claimed, want that of the other pod alone", wait, c[0].Claimed)
			}
			return -1
		})
	}
}
