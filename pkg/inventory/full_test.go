package inventory

import (
	"testing"
	"time"
)

// TestFull follows one GPU: a kind is full while nothing is free for longer than
// between one pod and the next.
func TestFull(t *testing.T) {
	w := newWorld()
	w.SetNode(aNode("n", has(gpu, 1)))
	full := func(want time.Duration) {
		t.Helper()
		if got := w.look(wants(gpu)).Full; got != want {
			t.Errorf("full for %v, want %v", got, want)
		}
	}
	take := func(name string) { w.SetPod(aPod(name, on("n"), asks(gpu, "1"), ours("GPU", ""))) }
	pass := func(d time.Duration) { w.now = w.now.Add(d) }

	full(0)
	pass(time.Minute)
	take("a")
	full(0)
	pass(time.Minute)
	full(time.Minute)

	w.DeletePod("default", "a")
	pass(time.Second)
	take("b")
	pass(time.Minute)
	full(2*time.Minute + time.Second) // the second between counts

	w.DeletePod("default", "b")
	full(0) // idle
	pass(time.Minute)
	take("c")
	pass(time.Second)
	full(time.Second)
}
