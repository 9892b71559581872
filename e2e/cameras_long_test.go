//go:build long

package e2e

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	cameras "heteroaccel.io/connector/camera/client"
	"heteroaccel.io/e2e/stack"
)

const (
	// manyCameras ask for as many servers, of which the devices of the setup
	// hundred allow half.
	manyCameras = 200
	allDevices  = 100
)

// heldCamera is a camera that has a session: the real client, without frames.
type heldCamera struct {
	stop context.CancelFunc
	done chan error

	mu   sync.Mutex
	last cameras.Session
	// ids are those of the sessions that it had.
	ids map[string]bool
}

func (h *heldCamera) session() cameras.Session {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.last
}

func (h *heldCamera) tell(s cameras.Session) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.last = s
	if s.ID != "" {
		h.ids[s.ID] = true
	}
}

// end stops a camera and waits until its session has ended.
func (h *heldCamera) end(t *testing.T) {
	t.Helper()
	h.stop()
	if err := <-h.done; err != nil {
		t.Error(err)
	}
}

// hold starts cameras that ask at once.
func hold(t *testing.T, s *stack.Stack, n int, ask cameras.Request) []*heldCamera {
	t.Helper()
	c, err := cameras.New(cameras.Config{URL: s.URL("connector", "")})
	if err != nil {
		t.Fatal(err)
	}
	all := make([]*heldCamera, n)
	for i := range all {
		ctx, stop := context.WithCancel(t.Context())
		h := &heldCamera{stop: stop, done: make(chan error, 1), ids: map[string]bool{}}
		all[i] = h
		go func() { h.done <- c.Hold(ctx, ask, h.tell) }()
	}
	return all
}

// splitQueue splits cameras into those that are served, and those that wait in the
// order of the queue, as they were told themselves.
func splitQueue(all []*heldCamera) (served, waiting []*heldCamera) {
	for _, h := range all {
		if h.session().Address != "" {
			served = append(served, h)
		} else {
			waiting = append(waiting, h)
		}
	}
	slices.SortFunc(waiting, func(a, b *heldCamera) int {
		x, y := a.session(), b.session()
		return cmp.Or(x.Created.Compare(y.Created), cmp.Compare(x.ID, y.ID))
	})
	return served, waiting
}

// queued checks that every device serves one camera, and that the others wait in
// the order in which they arrived, and know their place.
func queued(all []*heldCamera) error {
	served, waiting := splitQueue(all)
	pods := map[string]bool{}
	for _, h := range served {
		pods[h.session().Pod] = true
	}
	if want := min(allDevices, len(all)); len(served) != want || len(pods) != want {
		return fmt.Errorf("%d of %d cameras are served, by %d pods, want %d", len(served), len(all), len(pods), want)
	}
	for i, h := range waiting {
		if s := h.session(); s.ID == "" || s.Position != i+1 || s.Waiting != len(waiting) {
			return fmt.Errorf("the camera that arrived %dth of %d that wait is told %+v", i+1, len(waiting), s)
		}
	}
	return nil
}

// TestTwoHundredCameras ask at once for a hundred devices.
func TestTwoHundredCameras(t *testing.T) {
	s := borrow(t, hundred)
	if err := s.InstallConnector(t.Context()); err != nil {
		t.Fatal(err)
	}
	connector := func() {
		t.Helper()
		if err := s.StartConnector(t.Context(), "connector", "--idle-timeout=1s", "--max-sessions-per-client=1000", "--max-requests-per-second=5000", "--max-requests-burst=5000"); err != nil {
			t.Fatal(err)
		}
	}
	connector()
	t.Cleanup(func() { s.Process("connector").Kill() })
	began := time.Now()
	// Not the CPUs: then the fleet has a hundred devices that can serve.
	all := hold(t, s, manyCameras, cameras.Request{Inference: "face-recognition", Accelerator: "gpu,npu,fpga", TTL: "10m"})
	defer func() {
		for _, h := range all {
			h.stop()
		}
	}()
	eventually(t, func(context.Context) error { return queued(all) })
	t.Logf("%d are served and %d wait after %s", allDevices, manyCameras-allDevices, time.Since(began))

	const endings = 80
	t.Run("one after another", func(t *testing.T) { all = oneAfterAnother(t, all, endings) })
	t.Run("the connector restarts", func(t *testing.T) {
		s.Process("connector").Kill()
		connector()
		eventually(t, func(context.Context) error { return queued(all) })
		served, _ := splitQueue(all)
		all = remove(t, all, served[0])
		eventually(t, func(context.Context) error { return queued(all) })
		for _, h := range all {
			if len(h.ids) != 1 || h.session().Moves != 0 {
				t.Errorf("a camera had %d sessions, and moved %d times", len(h.ids), h.session().Moves)
			}
		}
	})
	t.Run("many at once", func(t *testing.T) {
		for _, waiting := splitQueue(all); len(waiting) > 0; _, waiting = splitQueue(all) {
			all = manyAtOnce(t, all)
		}
	})
	remove(t, all, all...)
	noServers(t, s)
	t.Logf("nothing is left after %s", time.Since(began))
}

// oneAfterAnother ends sessions one by one, and each time it is the first of the
// queue that is served.
func oneAfterAnother(t *testing.T, all []*heldCamera, times int) []*heldCamera {
	for i := range times {
		served, waiting := splitQueue(all)
		if len(waiting) == 0 {
			t.Fatalf("after %d endings nobody waits", i)
		}
		all = remove(t, all, served[0])
		eventually(t, func(context.Context) error {
			if waiting[0].session().Address == "" {
				return errors.New("a session has ended, and the first of the queue still waits")
			}
			return queued(all)
		})
	}
	return all
}

// manyAtOnce ends up to half of the served sessions together, and as many of the
// queue are served, from its head.
func manyAtOnce(t *testing.T, all []*heldCamera) []*heldCamera {
	served, waiting := splitQueue(all)
	next := waiting[:min(len(waiting), allDevices/2)]
	all = remove(t, all, served[:len(next)]...)
	eventually(t, func(context.Context) error { return queued(all) })
	for i, h := range next {
		if h.session().Address == "" {
			t.Errorf("%d sessions have ended, and the one that was %dth in the queue still waits", len(next), i+1)
		}
	}
	return all
}

// remove ends cameras together and returns the others.
func remove(t *testing.T, all []*heldCamera, ended ...*heldCamera) (left []*heldCamera) {
	t.Helper()
	for _, h := range ended {
		h.stop()
	}
	for _, h := range ended {
		h.end(t)
	}
	return slices.DeleteFunc(slices.Clone(all), func(h *heldCamera) bool { return slices.Contains(ended, h) })
}
