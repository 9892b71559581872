package placement_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"heteroaccel.io/extender/placement"
	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/inventory"
)

func TestPreempt(t *testing.T) {
	const fresh, stale = 2 * time.Second, 16 * time.Second
	bad := func(message string) placement.Result {
		return placement.Result{Reason: placement.Unhealthy, Message: message}
	}
	unknownAllocation := func(d *accel.Device) { d.Allocated = -1 }
	tests := map[string]struct {
		node    *nodeBuilder // nil: unknown
		needs   corev1.ResourceList
		victims []string // by name, of the node's pods
		unknown bool
		want    placement.Result
	}{
		"unknown node":                   {nil, gpus("1"), nil, true, placement.Result{}},
		"the good device is freed":       {with("1").scrape(fresh, 0, device("a", heldBy("low"))).pod("low", "l", gpus("1")), gpus("1"), []string{"low"}, false, placement.Result{}},
		"the unusable device is freed":   {with("1").scrape(fresh, 0, device("a", unhealthy, heldBy("low"))).pod("low", "l", gpus("1")), gpus("1"), []string{"low"}, false, bad("GPU a is unhealthy; evicting default/low would free no usable device")},
		"in external use":                {with("1").scrape(fresh, 0, device("a", externalUse("mpv"), heldBy("low"))).pod("low", "l", gpus("1")), gpus("1"), []string{"low"}, false, placement.Result{Reason: placement.ExternalUse, Message: "GPU a is used outside Kubernetes by mpv; evicting default/low would free no usable device"}},
		"stale telemetry":                {with("1").scrape(stale, 0, device("a", unhealthy, heldBy("low"))).pod("low", "l", gpus("1")), gpus("1"), []string{"low"}, false, placement.Result{}},
		"no telemetry":                   {with("1").pod("low", "l", gpus("1")), gpus("1"), []string{"low"}, false, placement.Result{}},
		"bound after the scrape":         {with("1").scrape(fresh, 0, device("a", unhealthy)).pod("low", "l", gpus("1")), gpus("1"), []string{"low"}, false, bad("GPU a is unhealthy; evicting default/low would free no usable device")},
		"unknown victim, no good one":    {with("1").scrape(fresh, 0, device("a", unhealthy)), gpus("1"), nil, true, bad("GPU a is unhealthy; evicting pods would free no usable device")},
		"no such device is not for us":   {with("0").scrape(fresh, 0), gpus("1"), nil, false, placement.Result{}},
		"the pod needs no device":        {with("1").scrape(fresh, 0, device("a", unhealthy, heldBy("low"))).pod("low", "l", gpus("1")), cpus("1"), []string{"low"}, false, placement.Result{}},
		"a device of another resource":   {with("1").scrape(fresh, 0, device("a", heldBy("low")), device("n", unhealthy, func(d *accel.Device) { d.Resource = "npu" })).pod("low", "l", gpus("1")), gpus("1"), []string{"low"}, false, placement.Result{}},
		"evicted for its memory, not it": {with("1").scrape(fresh, 0, device("a")).pod("hog", "h", cpus("7")), gpus("1"), []string{"hog"}, false, placement.Result{}},

		// 2 of capacity − 1 bad − (1 held − 1 of it on the bad one) = 1
		"of two, the good one is freed": {with("2").scrape(fresh, 0, device("a", unhealthy, heldBy("stays")), device("b", heldBy("low"))).pod("stays", "s", gpus("1")).pod("low", "l", gpus("1")), gpus("1"), []string{"low"}, false, placement.Result{}},
		// 2 − 1 bad − (1 held − 0 on the bad one) = 0 < 1
		"of two, the unusable one is freed": {with("2").scrape(fresh, 0, device("a", unhealthy, heldBy("low")), device("b", heldBy("stays"))).pod("stays", "s", gpus("1")).pod("low", "l", gpus("1")), gpus("1"), []string{"low"}, false, bad("GPU a is unhealthy, pods hold the rest; evicting default/low would free no usable device")},
		// 2 − 1 bad − 0 held = 1
		"of two, both are freed": {with("2").scrape(fresh, 0, device("a", unhealthy, heldBy("low")), device("b", heldBy("mid"))).pod("mid", "m", gpus("1")).pod("low", "l", gpus("1")), gpus("1"), []string{"low", "mid"}, false, placement.Result{}},
		// 2 − 1 bad − 0 held = 1 < 2
		"of two, both are freed, both needed": {with("2").scrape(fresh, 0, device("a", unhealthy, heldBy("low")), device("b", heldBy("mid"))).pod("mid", "m", gpus("1")).pod("low", "l", gpus("1")), gpus("2"), []string{"low", "mid"}, false, bad("GPU a is unhealthy, 1 of the 2 needed are left; evicting default/low, default/mid would free no usable device")},
		// 2 − 1 bad − 0: unknown victims may hold all there is
		"of two, an unknown victim": {with("2").scrape(fresh, 0, device("a", unhealthy), device("b", heldBy("stays"))).pod("stays", "s", gpus("1")), gpus("1"), nil, true, placement.Result{}},
		// 2 − 1 bad − (1 held − 0 on the bad one) = 0 < 1: it holds no device
		"of two, the good one stays held": {with("2").scrape(fresh, 0, device("a", unhealthy), device("b", heldBy("stays"))).pod("stays", "s", gpus("1")).pod("hog", "h", cpus("7")), gpus("1"), []string{"hog"}, false, bad("GPU a is unhealthy, pods hold the rest; evicting default/hog would free no usable device")},
		// 4 slots − 2 bad − (1 held) = 1: a slot of the good one is freed
		"shared devices count in slots": {with("4").scrape(fresh, 0, device("a", shared(2), unhealthy), device("b", shared(2), heldBy("low", "stays"))).pod("stays", "s", gpus("1")).pod("low", "l", gpus("1")), gpus("1"), []string{"low"}, false, placement.Result{}},
		// 2 − 1 bad − (0 held) = 1: by the kubelet nobody knows who holds which, all go
		"allocation unknown, all go": {with("2").scrape(fresh, 0, device("a", unhealthy, unknownAllocation), device("b", unknownAllocation)).pod("low", "l", gpus("1")).pod("mid", "m", gpus("1")), gpus("1"), []string{"low", "mid"}, false, placement.Result{}},
		"many victims are not all named": {with("1").scrape(fresh, 0, device("a", unhealthy)).pod("p4", "4", cpus("1")).pod("p3", "3", cpus("1")).pod("p2", "2", cpus("1")).pod("p1", "1", cpus("1")), gpus("1"), []string{"p4", "p3", "p2", "p1"}, false,
			bad("GPU a is unhealthy; evicting default/p1, default/p2, default/p3 and others would free no usable device")},
		"known and unknown victims": {with("1").scrape(fresh, 0, device("a", unhealthy, heldBy("low"))).pod("low", "l", gpus("1")), gpus("1"), []string{"low"}, true, bad("GPU a is unhealthy; evicting default/low and others would free no usable device")},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			q := query(tt.needs)
			v := placement.Victims{Unknown: tt.unknown}
			var n *inventory.Node
			if tt.node != nil {
				n = tt.node.node()
				for _, p := range tt.node.pods {
					if slices.Contains(tt.victims, p.Name) {
						v.Pods = append(v.Pods, inventory.PodOf(p, nil))
					}
				}
			}
			if diff := cmp.Diff(tt.want, q.Preempt(n, v)); diff != "" {
				t.Errorf("result (-want +got):\n%s", diff)
			}
			q.Skip = true
			if got := q.Preempt(n, v); !got.Fits() {
				t.Errorf("a pod that is left alone: %+v", got)
			}
		})
	}
}

// What preempt lets be evicted, filter lets in once it is gone; and what it
// takes out, filter would have rejected.
func TestPreemptAgreesWithFilter(t *testing.T) {
	names := []string{"p0", "p1", "p2"}
	for state := range 1 << 9 { // of three devices: unusable, held; then which of the pods go
		var devices []accel.Device
		before, after := with("3"), with("3")
		var gone []*inventory.Pod
		for i, name := range names {
			d := device(name)
			if state>>i&1 != 0 {
				d.Health = accel.Unhealthy
			}
			if held := state>>(3+i)&1 == 1; held {
				heldBy(name)(&d)
				before.pod(name, name, gpus("1"))
				if state>>(6+i)&1 == 1 {
					gone = append(gone, inventory.PodOf(before.pods[len(before.pods)-1], nil))
				} else {
					after.pod(name, name, gpus("1"))
				}
			}
			devices = append(devices, d)
		}
		q := query(gpus("1"))
		preempt := q.Preempt(before.scrape(0, 0, devices...).node(), placement.Victims{Pods: gone})
		filter := q.Filter(after.scrape(0, 0, devices...).node())
		if preempt.Reason != filter.Reason {
			t.Errorf("state %09b: preempt says %+v, filter afterwards %+v", state, preempt, filter)
		}
	}
}

// kube-scheduler found that the pod fits by Kubernetes' accounting: a record by
// which it does not is behind.
func TestBehind(t *testing.T) {
	tests := map[string]struct {
		node  *nodeBuilder
		needs corev1.ResourceList
		bound string
		want  bool
	}{
		"room by both counts":          {with("2").pod("old", "o", gpus("1")), gpus("1"), "", false},
		"all held by our count":        {with("2").pod("old", "o", gpus("2")), gpus("1"), "", true},
		"held by the pod itself":       {with("1").pod("new", "new", gpus("1")), gpus("1"), "n", false},
		"needs no device":              {with("1").pod("old", "o", gpus("1")), cpus("1"), "", false},
		"more needed than is left":     {with("2").pod("old", "o", gpus("1")), gpus("2"), "", true},
		"another resource is all held": {with("2").pod("old", "o", corev1.ResourceList{"npu": gpus("1")[gpu]}), gpus("1"), "", false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			q := query(tt.needs)
			q.Bound = tt.bound
			if got := q.Behind(tt.node.node()); got != tt.want {
				t.Errorf("behind %v, want %v", got, tt.want)
			}
		})
	}
}

// An unmanaged pod is kept off unusable devices only.
func TestUnmanagedPods(t *testing.T) {
	q := query(gpus("1"))
	q.Unmanaged = true
	if got := q.Filter(with("0").scrape(0, 0).node()); !got.Fits() {
		t.Errorf("where kube-scheduler sees a device and we see none: %+v", got)
	}
	if got := q.Filter(with("1").scrape(0, 0, device("a", unhealthy)).node()); got.Reason != placement.Unhealthy {
		t.Errorf("an unusable device: %+v", got)
	}
	q.Skip = true
	for name, n := range map[string]*inventory.Node{
		"unusable": with("1").scrape(0, 0, device("a", unhealthy)).node(), "idle": with("1").scrape(0, 0, device("a")).node(), "unknown": nil,
	} {
		if v, score := q.Filter(n), q.Score(n); !v.Fits() || score != 0 {
			t.Errorf("left alone, %s: %+v, score %d", name, v, score)
		}
	}
}
