package serve

import (
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// A server whose clients have another replica to go to waits, before it closes
// connections that nobody uses, until none was used for quiet, and no longer than
// handover.
const (
	quiet    = 500 * time.Millisecond
	handover = 3 * time.Second
)

// leaving has clients leave a server that is about to end: from begin on each answer
// closes its connection, which the client knows before it could send another request
// over it. What is closed without an answer it may be sending over at that moment; a
// POST whose connection is reset is not sent again by net/http.
type leaving struct {
	begun   atomic.Bool // read for each request
	mu      sync.Mutex
	open    int       // connections
	used    time.Time // when a connection last was
	changed chan struct{}
}

// newLeaving prepares for a server's end.
func newLeaving() *leaving {
	return &leaving{changed: make(chan struct{}, 1)}
}

// state is an http.Server's ConnState.
func (l *leaving) state(_ net.Conn, s http.ConnState) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch s {
	case http.StateNew:
		l.open++
	case http.StateClosed, http.StateHijacked:
		l.open--
	}
	l.used = time.Now()
	select {
	case l.changed <- struct{}{}:
	default:
	}
}

// answer wraps a handler.
func (l *leaving) answer(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if l.begun.Load() {
			w.Header().Set("Connection", "close")
		}
		next.ServeHTTP(w, r)
	})
}

// wait begins, and returns when no connection is open, when none was used for a while,
// or after handover.
func (l *leaving) wait() {
	limit := time.NewTimer(handover)
	defer limit.Stop()
	l.begun.Store(true)
	l.mu.Lock()
	l.used = time.Now()
	l.mu.Unlock()
	for {
		l.mu.Lock()
		open, left := l.open, time.Until(l.used.Add(quiet))
		l.mu.Unlock()
		if open == 0 || left <= 0 {
			return
		}
		calm := time.NewTimer(left)
		select {
		case <-l.changed:
		case <-calm.C:
		case <-limit.C:
			calm.Stop()
			return
		}
		calm.Stop()
	}
}
