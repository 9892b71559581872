package placement_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"heteroaccel.io/extender/placement"
	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/inventory"
)

func TestFilter(t *testing.T) {
	const fresh, stale = 2 * time.Second, 16 * time.Second
	tests := map[string]struct {
		node  *nodeBuilder // nil: unknown
		needs corev1.ResourceList
		bound string
		want  placement.Result
	}{
		"unknown node passes":            {nil, gpus("1"), "", placement.Result{}},
		"idle device":                    {with("1").scrape(fresh, 0, device("a")), gpus("1"), "", placement.Result{}},
		"no telemetry passes":            {with("1"), gpus("1"), "", placement.Result{}},
		"telemetry as old as is allowed": {with("1").scrape(maxAge, 0, device("a", unhealthy)), gpus("1"), "", placement.Result{placement.Unhealthy, "GPU a is unhealthy"}},
		"stale telemetry passes":         {with("1").scrape(stale, 0, device("a", unhealthy)), gpus("1"), "", placement.Result{}},
		"no such device":                 {with("0").scrape(fresh, 0), gpus("1"), "", placement.Result{placement.Absent, "this node offers no " + gpu}},
		"no such device, stale":          {with("0"), gpus("1"), "", placement.Result{placement.Absent, "this node offers no " + gpu}},
		"unknown health":                 {with("1").scrape(fresh, 0, device("a", unknown)), gpus("1"), "", placement.Result{}},
		"all unknown, two needed":        {with("2").scrape(fresh, 0, device("a", unknown), device("b", unknown)), gpus("2"), "", placement.Result{}},
		"one unknown, one unhealthy": {with("2").scrape(fresh, 0, device("a", unknown), device("b", unhealthy)), gpus("2"), "",
			placement.Result{placement.Unhealthy, "GPU b is unhealthy, 1 of the 2 needed are left"}},
		"unknown, and in external use": {with("1").scrape(fresh, 0, device("a", unknown, externalUse("x"))), gpus("1"), "",
			placement.Result{placement.ExternalUse, "GPU a is used outside Kubernetes by x"}},
		"unhealthy":    {with("1").scrape(fresh, 0, device("0000:00:02.0", unhealthy)), gpus("1"), "", placement.Result{placement.Unhealthy, "GPU 0000:00:02.0 is unhealthy"}},
		"external use": {with("1").scrape(fresh, 0, device("0000:00:02.0", externalUse("ffmpeg"))), gpus("1"), "", placement.Result{placement.ExternalUse, "GPU 0000:00:02.0 is used outside Kubernetes by ffmpeg"}},
		"held by a pod in our view alone is no harm": {with("1").scrape(fresh, 0, device("a", heldBy("old"))).pod("old", "old", gpus("1")), gpus("1"), "", placement.Result{}},
		"held in our view before telemetry shows it": {with("1").scrape(fresh, 0, device("a")).pod("old", "old", gpus("1")), gpus("1"), "", placement.Result{}},
		"CPU kind passes anything":                   {with("1").scrape(fresh, 8, device("a", unhealthy)), cpus("64"), "", placement.Result{}},

		// 2 of capacity − 1 bad − 0 held = 1
		"one of two unhealthy leaves one": {with("2").scrape(fresh, 0, device("a", unhealthy), device("b")), gpus("1"), "", placement.Result{}},
		// 2 − 1 bad − 0 held = 1 < 2
		"one of two unhealthy, two needed": {with("2").scrape(fresh, 0, device("a", unhealthy), device("b")), gpus("2"), "", placement.Result{placement.Unhealthy, "GPU a is unhealthy, 1 of the 2 needed are left"}},
		// 2 − 1 bad − 1 held on the good one = 0 < 1
		"one of two in external use, the other held": {with("2").scrape(fresh, 0, device("a", externalUse("mpv")), device("b", heldBy("old"))).pod("old", "old", gpus("1")), gpus("1"), "", placement.Result{placement.ExternalUse, "GPU a is used outside Kubernetes by mpv, pods hold the rest"}},
		// 2 − 1 bad − (1 held − 1 of it on the bad one) = 1
		"the unhealthy one is held, the other idle": {with("2").scrape(fresh, 0, device("a", unhealthy, heldBy("old")), device("b")).pod("old", "old", gpus("1")), gpus("1"), "", placement.Result{}},
		// 1 − 1 bad − 0 held: its pod ended after the scrape, the device is still unhealthy
		"the holder of the unhealthy one is gone": {with("1").scrape(fresh, 0, device("a", unhealthy, heldBy("gone"))), gpus("1"), "", placement.Result{placement.Unhealthy, "GPU a is unhealthy"}},
		// 2 − 1 bad − (1 held − 0 on the bad one) = 0 < 1
		"that, and the good one is held": {with("2").scrape(fresh, 0, device("a", unhealthy, heldBy("gone")), device("b", heldBy("old"))).pod("old", "old", gpus("1")), gpus("1"), "", placement.Result{placement.Unhealthy, "GPU a is unhealthy, pods hold the rest"}},
		// 2 − 1 bad − (1 held − 1 its own) = 1
		"counted on the node already, not against itself": {with("2").scrape(fresh, 0, device("a", unhealthy), device("b")).pod("new", "new", gpus("1")), gpus("1"), "n", placement.Result{}},
		// 4 slots − 2 in external use − 1 held = 1
		"shared devices count in slots":        {with("4").scrape(fresh, 0, device("a", shared(2), externalUse("x")), device("b", shared(2), heldBy("old"))).pod("old", "old", gpus("1")), gpus("1"), "", placement.Result{}},
		"allocation unknown, idle by our view": {with("1").scrape(fresh, 0, device("a", func(d *accel.Device) { d.Allocated = -1 })), gpus("1"), "", placement.Result{}},
		"many bad ones are counted": {with("5").scrape(fresh, 0, device("a", unhealthy), device("b", unhealthy), device("c", unhealthy), device("d", unhealthy), device("e", externalUse("x"))), gpus("1"), "",
			placement.Result{placement.Unhealthy, "GPU a is unhealthy, GPU b is unhealthy, GPU c is unhealthy, 2 more are unusable"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			q := query(tt.needs)
			q.Bound = tt.bound
			var n *inventory.Node
			if tt.node != nil {
				n = tt.node.node()
			}
			if diff := cmp.Diff(tt.want, q.Filter(n)); diff != "" {
				t.Errorf("result (-want +got):\n%s", diff)
			}
		})
	}
}
