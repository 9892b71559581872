package leader

import (
	"context"
	"net/http"
	"os"
	"os/exec"
	"sync/atomic"
	"syscall"
	"testing"

	"heteroaccel.io/pkg/serve/servetest"
)

// What a process of its own is told that takes part in an election of a test.
const (
	replicaURL  = "LEADER_TEST_URL"
	replicaName = "LEADER_TEST_NAME"
)

func TestMain(m *testing.M) {
	if url := os.Getenv(replicaURL); url != "" {
		takePart(url, os.Getenv(replicaName))
	}
	os.Exit(m.Run())
}

// takePart is such a process. It ends by being killed.
func takePart(url, name string) {
	l, err := candidateAt(url, name, quick(name), os.Stderr)
	if err != nil {
		panic(err)
	}
	r := &replica{Leader: l, name: name, sender: senderTo(url, name)}
	panic(r.Run(context.Background(), r.work))
}

// process starts one.
func (s *leases) process(name string) *os.Process {
	s.t.Helper()
	c := exec.Command(os.Args[0])
	c.Env = append(os.Environ(), replicaURL+"="+s.URL, replicaName+"="+name)
	if err := c.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		_ = c.Process.Kill() // it may have been
		_ = c.Wait()         // which says that it was killed
	})
	return c.Process
}

// TestPaused: a process is stopped in the middle of a write while it leads, another
// leads, and the first goes on: it sends nothing of its old term, and leads again
// once the other is gone.
func TestPaused(t *testing.T) {
	t.Parallel()
	s := newLeases(t)
	a := s.process("a")
	servetest.Eventually(t, "one leads", func() bool { return s.worked("a") > 3 })
	b := s.process("b")
	var asked atomic.Int32
	s.fail("a", func(w http.ResponseWriter, r *http.Request, answer http.HandlerFunc) { asked.Add(1); answer(w, r) })
	stopped := make(chan struct{})
	s.mu.Lock()
	s.onWork = func(replica string) {
		if replica != "a" {
			return
		}
		// The one goroutine that writes waits for this answer: none is between a look
		// at the clock and the write.
		if err := a.Signal(syscall.SIGSTOP); err != nil {
			t.Error(err)
		}
		s.mu.Lock()
		s.onWork = nil
		s.mu.Unlock()
		close(stopped)
	}
	s.mu.Unlock()
	<-stopped
	written := s.worked("a")
	servetest.Eventually(t, "the other leads", func() bool { return s.worked("b") > 3 })
	asked.Store(0)
	if err := a.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	servetest.Eventually(t, "the first goes on", func() bool { return asked.Load() > 5 })
	if n := s.worked("a") - written; n != 0 {
		t.Errorf("%d writes of a term that is over", n)
	}
	if err := b.Kill(); err != nil {
		t.Fatal(err)
	}
	servetest.Eventually(t, "the first leads again", func() bool { return s.worked("a") > written+3 })
}
