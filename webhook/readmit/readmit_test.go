package readmit

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/types"

	"heteroaccel.io/pkg/inventory"
	"heteroaccel.io/webhook/readmit/podtest"
)

// TestOtherScheduler: a pod whose scheduler does not ask our extender is not
// ours to recreate, but what it carries counts.
func TestOtherScheduler(t *testing.T) {
	c := Config{Key: podtest.Key, Options: podtest.Source(t)}
	c.Options.Schedulers = []string{"default-scheduler"}
	c.Inventory, c.Registry = inventory.New(inventory.Options{}), prometheus.NewRegistry()
	r := New(c)
	for scheduler, want := range map[string]int{"default-scheduler": 1, "": 1, "volcano": 0} {
		pod := podtest.Admitted(t, "p", "r")
		pod.Spec.SchedulerName = scheduler
		r.SetPod(pod)
		if got := r.pending.Len(); got != want {
			t.Errorf("%q: %d are pending, want %d", scheduler, got, want)
		}
		r.DeletePod(types.NamespacedName{Namespace: "ns", Name: "p"})
	}
}
