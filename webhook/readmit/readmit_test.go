package readmit

import (
	"fmt"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/types"

	"heteroaccel.io/pkg/inventory"
	"heteroaccel.io/webhook/readmit/podtest"
	"heteroaccel.io/webhook/replacement"
)

// TestForgedReplacement: whoever announces a pod that is expected, and is not known
// to be the API server, takes nothing from the pod that comes.
func TestForgedReplacement(t *testing.T) {
	c := Config{Keys: podtest.CurrentKeys, Options: podtest.Source(t)}
	c.Inventory, c.Registry = inventory.New(inventory.Options{}), prometheus.NewRegistry()
	r := New(c)
	term := r.newTerm()
	r.current.Store(term)
	c.Inventory.Decide(inventory.Query{Namespace: "ns", Reservation: "held", Options: []inventory.Option{{Kind: "GPU"}}}, func([]inventory.Candidate) int { return 0 })
	e := &replacement.Expected{Reservation: "held", Kind: "GPU", Count: 3}
	term.expected.Add(replacement.OriginOf("ns", "", "p"), e, time.Now())
	for i := range 5 {
		if got, ok := r.Replaces("ns", "", "p", fmt.Sprint("forged-", i), inventory.Suspect); !ok || got.Count != 3 {
			t.Errorf("got %+v, %v: the caller may be the API server after all", got, ok)
		}
	}
	if got, ok := r.Replaces("ns", "", "p", "real", inventory.Unproven); !ok || got.Kind != "GPU" || got.Count != 3 {
		t.Errorf("the pod that comes is given %+v, %v", got, ok)
	}
	if _, ok := c.Inventory.Reserved("ns", "held"); !ok {
		t.Error("what is held for it was released before it came")
	}
	r.SetPod(podtest.Admitted(t, "p", "real"))
	if _, ok := c.Inventory.Reserved("ns", "held"); ok {
		t.Error("it came, and another device is held for it")
	}
	if got, ok := r.Replaces("ns", "", "p", "next", inventory.Trusted); ok {
		t.Errorf("the one after it is given %+v", got)
	}
}

// TestOtherScheduler: a pod whose scheduler does not ask our extender is not
// ours to recreate, but what it carries counts.
func TestOtherScheduler(t *testing.T) {
	c := Config{Keys: podtest.CurrentKeys, Options: podtest.Source(t)}
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
