package e2e

import (
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"heteroaccel.io/e2e/cluster"
	"heteroaccel.io/e2e/stack"
)

// blackHole is where a machine was: connections are not refused, and nothing answers.
type blackHole struct {
	net.Listener

	mu   sync.Mutex
	held []time.Duration // how long each caller that gave up has waited
}

func newBlackHole(t *testing.T) *blackHole {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h := &blackHole{Listener: ln}
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return // closed
			}
			go h.swallow(conn, time.Now())
		}
	}()
	t.Cleanup(func() { ln.Close() })
	return h
}

func (h *blackHole) swallow(conn net.Conn, since time.Time) {
	defer conn.Close()
	_, _ = io.Copy(io.Discard, conn) // until the caller gives up
	h.mu.Lock()
	defer h.mu.Unlock()
	h.held = append(h.held, time.Since(since))
}

// extenderVanishes: the extender's machine is gone, and with the shipped
// configuration a pod is placed all the same, after kube-scheduler has waited half a
// second for filter. Of one node that is left, as here, it asks for no score.
func extenderVanishes(t *testing.T, s *stack.Stack) {
	hole := newBlackHole(t)
	root, err := cluster.Root()
	if err != nil {
		t.Fatal(err)
	}
	shipped, err := stack.Extenders(root)
	if err != nil {
		t.Fatal(err)
	}
	shipped[0].URLPrefix = "http://" + hole.Addr().String() + "/scheduler"
	if err := s.RestartScheduler(t.Context(), shipped); err != nil {
		t.Fatal(err)
	}
	running(t, s, create(t, s, anyPod("vanished", "face-recognition", "gpu")))
	if err := s.RestartScheduler(t.Context(), extenders(t, s)); err != nil {
		t.Fatal(err)
	}
	hole.mu.Lock()
	defer hole.mu.Unlock()
	if len(hole.held) != 1 {
		t.Errorf("the scheduler asked %d times for a pod that fits one node, want filter once", len(hole.held))
	}
	for _, d := range hole.held {
		// A busy machine may add to the 500 ms.
		if d > 1500*time.Millisecond {
			t.Errorf("the scheduler waited %s for an answer, want about 500ms", d)
		}
	}
	t.Logf("the scheduler waited %v", hole.held)
}
