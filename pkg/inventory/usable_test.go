package inventory

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"heteroaccel.io/pkg/accel"
)

// usableCase is what a decision about an option, one GPU by default, should see.
type usableCase struct {
	do     func(w *world)
	option Option
	want   sums
}

func runUsable(t *testing.T, tests map[string]usableCase) {
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			option := tt.option
			if option.Kind == "" {
				option = wants(gpu)
			}
			// What was asked before and between must not matter.
			asked, late := newWorld(), newWorld()
			asked.look(option)
			asked.look(wants(""))
			tt.do(asked)
			tt.do(late)
			wantSums(t, asked.look(option), tt.want)
			wantSums(t, late.look(option), tt.want)
		})
	}
}

// TestUsable: what the devices of nodes, their telemetry and their pods leave.
func TestUsable(t *testing.T) {
	runUsable(t, map[string]usableCase{
		"two idle devices": {
			do:   func(w *world) { w.SetNode(aNode("g", has(gpu, 2))); w.scrape("g", 0) },
			want: sums{Nodes: 1, Total: 2, Usable: 2},
		},
		"nothing at all": {do: func(*world) {}, want: sums{}},
		"held by a pod": {
			do: func(w *world) {
				w.SetNode(aNode("g", has(gpu, 2)))
				w.scrape("g", 0)
				w.SetPod(aPod("p", on("g"), asks(gpu, "1")))
			},
			want: sums{Nodes: 1, Total: 2, Usable: 1},
		},
		"held by a static pod, whose mirror asks for us": {
			do: func(w *world) {
				w.SetNode(aNode("g", has(gpu, 2)))
				w.scrape("g", 0)
				w.SetPod(aPod("door-camera-g", on("g"), asks(gpu, "1"), asks("cpu", "1"), mirror))
			},
			want: sums{Nodes: 1, Total: 2, Usable: 1},
		},
		"unhealthy, the kubelet does not know": { // 2 − 0 held − 1 blocked
			do: func(w *world) {
				w.SetNode(aNode("g", has(gpu, 2)))
				w.scrape("g", 0, device("0", gpu, unhealthy), device("1", gpu))
			},
			want: sums{Nodes: 1, Total: 2, Usable: 1},
		},
		"health unknown: Kubernetes' own accounting stands": { // 2 − 0 held − 0 blocked
			do: func(w *world) {
				w.SetNode(aNode("g", has(gpu, 2)))
				w.scrape("g", 0, device("0", gpu, unknown), device("1", gpu))
			},
			want: sums{Nodes: 1, Total: 2, Usable: 2},
		},
		"unhealthy, the kubelet knows: taken away once": { // min(1 − 0, 2 − 0 − 1)
			do: func(w *world) {
				w.SetNode(aNode("g", allocatable(gpu, 1), capacity(gpu, 2)))
				w.scrape("g", 0, device("0", gpu, unhealthy), device("1", gpu))
			},
			want: sums{Nodes: 1, Total: 1, Usable: 1},
		},
		"unhealthy and held, the kubelet does not know": { // the other one is idle
			do: func(w *world) {
				w.SetNode(aNode("g", has(gpu, 2)))
				w.SetPod(aPod("p", on("g"), asks(gpu, "1")))
				w.scrape("g", 0, device("0", gpu, unhealthy, heldBy("p")), device("1", gpu))
			},
			want: sums{Nodes: 1, Total: 2, Usable: 1},
		},
		"unhealthy and held, the kubelet knows: the scheduler places nothing": { // min(1 − 1, 2 − 1 − 0)
			do: func(w *world) {
				w.SetNode(aNode("g", allocatable(gpu, 1), capacity(gpu, 2)))
				w.SetPod(aPod("p", on("g"), asks(gpu, "1")))
				w.scrape("g", 0, device("0", gpu, unhealthy, heldBy("p")), device("1", gpu))
			},
			want: sums{Nodes: 1, Total: 1, Usable: 0},
		},
		"the pod on an unhealthy device ends, and the device stays blocked": {
			do: func(w *world) {
				w.SetNode(aNode("g", has(gpu, 2)))
				w.SetPod(aPod("p", on("g"), asks(gpu, "1")))
				w.scrape("g", 0, device("0", gpu, unhealthy, heldBy("p")), device("1", gpu))
				w.SetPod(aPod("p", on("g"), asks(gpu, "1"), phase(corev1.PodSucceeded)))
			},
			want: sums{Nodes: 1, Total: 2, Usable: 1},
		},
		"the kubelet could not be asked who holds an unhealthy device": { // 2 − 1 − 1: unknown is not idle
			do: func(w *world) {
				w.SetNode(aNode("g", has(gpu, 2)))
				w.SetPod(aPod("p", on("g"), asks(gpu, "1")))
				w.scrape("g", 0, device("0", gpu, unhealthy, func(d *accel.Device) { d.Allocated = -1 }), device("1", gpu))
			},
			want: sums{Nodes: 1, Total: 2, Usable: 0},
		},
		"in external use": {
			do: func(w *world) {
				w.SetNode(aNode("g", has(gpu, 1)))
				w.scrape("g", 0, device("0", gpu, usedBy("ffmpeg")))
			},
			want: sums{Nodes: 1, Total: 1, Usable: 0},
		},
		"shared slots": { // 4 slots, 1 held
			do: func(w *world) {
				w.SetNode(aNode("g", has(gpu, 4)))
				w.SetPod(aPod("p", on("g"), asks(gpu, "1")))
				w.scrape("g", 0, device("0", gpu, slots(4), heldBy("p")))
			},
			want: sums{Nodes: 1, Total: 4, Usable: 3},
		},
		"shared slots, one of two cards in external use": { // 8 − 2 held − (4 − 1) blocked
			do: func(w *world) {
				w.SetNode(aNode("g", has(gpu, 8)))
				w.SetPod(aPod("p", on("g"), asks(gpu, "1")))
				w.SetPod(aPod("q", on("g"), asks(gpu, "1")))
				w.scrape("g", 0, device("0", gpu, slots(4), heldBy("p"), usedBy("ffmpeg")), device("1", gpu, slots(4), heldBy("q")))
			},
			want: sums{Nodes: 1, Total: 8, Usable: 3},
		},
		"another resource's unhealthy device": {
			do: func(w *world) {
				w.SetNode(aNode("g", has(gpu, 1), has(npu, 1)))
				w.scrape("g", 0, device("0", npu, unhealthy), device("1", "", unhealthy))
			},
			want: sums{Nodes: 1, Total: 1, Usable: 1},
		},
		"stale: Kubernetes' own accounting alone": {
			do: func(w *world) {
				w.SetNode(aNode("g", has(gpu, 2)))
				w.SetPod(aPod("p", on("g"), asks(gpu, "1")))
				w.scrape("g", 0, device("0", gpu, unhealthy), device("1", gpu, unhealthy))
				w.now = w.now.Add(15*time.Second + 1)
			},
			want: sums{Nodes: 1, Stale: 1, Total: 2, Usable: 1},
		},
		"as old as may be": {
			do: func(w *world) {
				w.SetNode(aNode("g", has(gpu, 1)))
				w.scrape("g", 0, device("0", gpu, unhealthy))
				w.now = w.now.Add(15 * time.Second)
			},
			want: sums{Nodes: 1, Total: 1, Usable: 0},
		},
		"no telemetry ever": {
			do:   func(w *world) { w.SetNode(aNode("g", has(gpu, 1))) },
			want: sums{Nodes: 1, Stale: 1, Total: 1, Usable: 1},
		},
		"telemetry older than the last is ignored": {
			do: func(w *world) {
				w.SetNode(aNode("g", has(gpu, 1)))
				w.scrape("g", time.Second, device("0", gpu, unhealthy))
				w.scrape("g", 2*time.Second, device("0", gpu))
			},
			want: sums{Nodes: 1, Total: 1, Usable: 0},
		},
		"telemetry from the future is of now": {
			do: func(w *world) {
				w.SetNode(aNode("g", has(gpu, 1)))
				w.scrape("g", -time.Hour, device("0", gpu, unhealthy))
				w.now = w.now.Add(16 * time.Second)
			},
			want: sums{Nodes: 1, Stale: 1, Total: 1, Usable: 1},
		},
		"telemetry before its node": {
			do: func(w *world) {
				w.scrape("g", 0, device("0", gpu, unhealthy))
				w.SetNode(aNode("g", has(gpu, 1)))
			},
			want: sums{Nodes: 1, Total: 1, Usable: 0},
		},
		"the pod ended": {
			do: func(w *world) {
				w.SetNode(aNode("g", has(gpu, 1)))
				w.SetPod(aPod("p", on("g"), asks(gpu, "1")))
				w.SetPod(aPod("p", on("g"), asks(gpu, "1"), phase(corev1.PodFailed)))
			},
			want: sums{Nodes: 1, Stale: 1, Total: 1, Usable: 1},
		},
		"the pod was deleted": {
			do: func(w *world) {
				w.SetNode(aNode("g", has(gpu, 1)))
				w.SetPod(aPod("p", on("g"), asks(gpu, "1")))
				w.DeletePod("default", "p")
				w.DeletePod("default", "p")
			},
			want: sums{Nodes: 1, Stale: 1, Total: 1, Usable: 1},
		},
		"a pod that is being deleted holds its device still": {
			do: func(w *world) {
				w.SetNode(aNode("g", has(gpu, 1)))
				w.SetPod(aPod("p", on("g"), asks(gpu, "1"), deleted))
			},
			want: sums{Nodes: 1, Stale: 1, Total: 1, Usable: 0},
		},
		"recreated under the same name, on another node": {
			do: func(w *world) {
				w.SetNode(aNode("g", has(gpu, 1)))
				w.SetNode(aNode("h", has(gpu, 2)))
				w.SetPod(aPod("p", on("g"), asks(gpu, "1")))
				again := aPod("p", on("h"), asks(gpu, "2"))
				again.UID = "another"
				w.SetPod(again)
			},
			want: sums{Nodes: 2, Stale: 2, Total: 3, Usable: 1},
		},
		"bound before its node is seen": {
			do: func(w *world) {
				w.SetPod(aPod("p", on("g"), asks(gpu, "1")))
				w.SetNode(aNode("g", has(gpu, 2)))
			},
			want: sums{Nodes: 1, Stale: 1, Total: 2, Usable: 1},
		},
		"node deleted": {
			do: func(w *world) {
				w.SetNode(aNode("g", has(gpu, 2)))
				w.SetPod(aPod("p", on("g"), asks(gpu, "1")))
				w.DeleteNode("g")
			},
			want: sums{},
		},
		"node deleted and added again, its pod still there": {
			do: func(w *world) {
				w.SetNode(aNode("g", has(gpu, 2)))
				w.scrape("g", 0, device("0", gpu, unhealthy))
				w.SetPod(aPod("p", on("g"), asks(gpu, "1")))
				w.DeleteNode("g")
				w.SetNode(aNode("g", has(gpu, 2)))
			},
			want: sums{Nodes: 1, Stale: 1, Total: 2, Usable: 1},
		},
		"a device is added": {
			do: func(w *world) {
				w.SetNode(aNode("g"))
				w.SetNode(aNode("g", has(gpu, 1)))
			},
			want: sums{Nodes: 1, Stale: 1, Total: 1, Usable: 1},
		},
		"all devices are removed": {
			do: func(w *world) {
				w.SetNode(aNode("g", has(gpu, 1)))
				w.SetNode(aNode("g", allocatable(gpu, 0), capacity(gpu, 1)))
			},
			want: sums{},
		},
		"more held than there is": {
			do: func(w *world) {
				w.SetNode(aNode("g", has(gpu, 1)))
				w.SetPod(aPod("p", on("g"), asks(gpu, "9000000000000000000"), asks("memory", "9000000000000000000")))
				w.SetPod(aPod("q", on("g"), asks(gpu, "9000000000000000000"), asks("memory", "9000000000000000000")))
			},
			want: sums{Nodes: 1, Stale: 1, Total: 1, Usable: 0},
		},
	})
}
