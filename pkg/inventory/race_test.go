package inventory

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"heteroaccel.io/pkg/telemetry"
)

// TestNobodyDoubleBooks decides about many pods at once on a few idle devices,
// while the pods are created, bound and run, others end, nodes change and
// telemetry arrives. Each pod takes the device it was promised, so in any order
// of events exactly as many decisions find one idle as there are.
func TestNobodyDoubleBooks(t *testing.T) {
	const nodes, each, deciders = 8, 3, 64
	now := time.Unix(1_700_000_000, 0)
	inv := New(Options{Now: func() time.Time { return now }})
	for i := range nodes {
		inv.SetNode(aNode(fmt.Sprint("n", i), has(gpu, each), has(npu, 1)))
		inv.SetTelemetry(telemetry.Scrape{Node: fmt.Sprint("n", i), Time: now})
	}

	var found atomic.Int64
	var deciding, rest sync.WaitGroup
	stop := make(chan struct{})
	disturb := func(f func(i int)) {
		rest.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
					f(i)
				}
			}
		})
	}
	disturb(func(i int) {
		inv.SetTelemetry(telemetry.Scrape{Node: fmt.Sprint("n", i%nodes), Time: now, CPUCores: 8, CPUBusy: float64(i % 8)})
	})
	disturb(func(i int) { inv.SetNode(aNode(fmt.Sprint("n", i%nodes), has(gpu, each), has(npu, 1+int64(i%2)))) })
	disturb(func(i int) { // pods after something else wait, are bound, end
		name := fmt.Sprint("other", i%16)
		inv.SetPod(aPod(name, asks(npu, "1")))
		inv.SetPod(aPod(name, asks(npu, "1"), on(fmt.Sprint("n", i%nodes))))
		inv.SetPod(aPod(name, asks(npu, "1"), on(fmt.Sprint("n", i%nodes)), phase("Succeeded")))
		inv.DeletePod("default", name)
	})
	disturb(func(i int) {
		inv.Reservations()
		inv.Managed()
		for _, n := range inv.Lookup([]string{"n1", "n2"}) {
			_ = n.Fits(wants(gpu).Needs, n.Fresh(now, inv.MaxTelemetryAge()))
		}
		inv.Decide(Query{Namespace: "default", Options: []Option{wants(gpu), wants("")}}, func([]Candidate) int { return i % 2 })
	})

	// Where the pods are bound: one after another, each where there is room.
	var binding sync.Mutex
	free := map[string]int{}
	for i := range nodes {
		free[fmt.Sprint("n", i)] = each
	}
	bind := func() string {
		binding.Lock()
		defer binding.Unlock()
		for n, left := range free {
			if left > 0 {
				free[n]--
				return n
			}
		}
		return ""
	}
	for i := range deciders {
		deciding.Go(func() {
			id := fmt.Sprint("r", i)
			c := inv.Decide(Query{Namespace: "default", Options: []Option{wants(gpu)}, Reservation: id}, func(c []Candidate) int { return 0 })
			if c.Idle() > 0 {
				found.Add(1)
			}
			inv.SetPod(aPod(id, asks(gpu, "1"), ours("GPU", id)))
			if c.Idle() > 0 {
				inv.SetPod(aPod(id, asks(gpu, "1"), ours("GPU", id), on(bind())))
			}
		})
	}
	deciding.Wait()
	close(stop)
	rest.Wait()

	if got := found.Load(); got != nodes*each {
		t.Errorf("%d decisions found an idle device, want %d, one for each", got, nodes*each)
	}
	c := inv.Decide(Query{Options: []Option{wants(gpu)}}, func([]Candidate) int { return 0 })
	wantSums(t, c, sums{Nodes: nodes, Total: nodes * each, Queued: deciders - nodes*each})
	if n := inv.Reservations(); n != 0 {
		t.Errorf("%d reservations are left, though every pod has come", n)
	}
}
