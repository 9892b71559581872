package inventory

import "testing"

// TestFits: what the needs of a pod leave of the devices.
func TestFits(t *testing.T) {
	runUsable(t, map[string]usableCase{
		"memory does not fit now": {
			do: func(w *world) {
				w.SetNode(aNode("g", has(gpu, 1)))
				w.SetPod(aPod("p", on("g"), asks("memory", "30Gi")))
			},
			option: wants(gpu, asks("memory", "4Gi")),
			want:   sums{Nodes: 1, Stale: 1, Total: 1, Usable: 0},
		},
		"memory never fits": {
			do:     func(w *world) { w.SetNode(aNode("g", has(gpu, 1))) },
			option: wants(gpu, asks("memory", "40Gi")),
			want:   sums{},
		},
		"memory for one of two": {
			do:     func(w *world) { w.SetNode(aNode("g", has(gpu, 2))) },
			option: wants(gpu, asks("memory", "20Gi")),
			want:   sums{Nodes: 1, Stale: 1, Total: 1, Usable: 1},
		},
		"no room for a pod": {
			do: func(w *world) {
				n := aNode("g", has(gpu, 1))
				n.MaxPods = 1
				w.SetNode(n)
				w.SetPod(aPod("p", on("g")))
			},
			want: sums{Nodes: 1, Stale: 1, Total: 1, Usable: 0},
		},
		"two devices a pod": { // 5 / 2
			do:     func(w *world) { w.SetNode(aNode("g", has(gpu, 5))) },
			option: wants(gpu, asks(gpu, "1")),
			want:   sums{Nodes: 1, Stale: 1, Total: 2, Usable: 2},
		},
		"two resources a pod": {
			do: func(w *world) {
				w.SetNode(aNode("g", has(gpu, 3), has(npu, 2)))
				w.SetNode(aNode("h", has(gpu, 3)))
			},
			option: wants(gpu, asks(npu, "1")),
			want:   sums{Nodes: 1, Stale: 1, Total: 2, Usable: 2},
		},
		"cores: requested ones are gone": { // (8 − 3) / 2
			do: func(w *world) {
				w.SetNode(aNode("g"))
				w.SetPod(aPod("p", on("g"), asks("cpu", "3")))
			},
			option: wants(""),
			want:   sums{Nodes: 1, Stale: 1, Total: 4, Usable: 2},
		},
		"cores: a device that is held leaves them alone": {
			do: func(w *world) {
				w.SetNode(aNode("g", has(gpu, 1)))
				w.SetPod(aPod("p", on("g"), asks(gpu, "1")))
			},
			option: wants(""),
			want:   sums{Nodes: 1, Stale: 1, Total: 4, Usable: 4},
		},
	})
}
