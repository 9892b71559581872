package server

import (
	"context"
	"errors"
	"net/http"
	"sync"

	"heteroaccel.io/pkg/leader"
	"heteroaccel.io/pkg/serve"
)

// deciding is the term in which reviews are answered.
type deciding struct {
	// mu is held for reading while a review is decided.
	mu   sync.RWMutex
	term context.Context // nil when there is none
	next chan struct{}   // closed when the next one begins
}

// errStandingBy is what a replica says that does not decide.
var errStandingBy = errors.New("standing by: another replica decides, or this one is about to")

// Begin has the server decide for as long as a term lasts. Once end has returned, no
// review is being decided, and none will be until the next Begin.
func (s *Server) Begin(term context.Context) (end func()) {
	s.deciding.mu.Lock()
	defer s.deciding.mu.Unlock()
	s.deciding.term = term
	close(s.deciding.next)
	s.deciding.next = make(chan struct{})
	return func() {
		s.deciding.mu.Lock()
		defer s.deciding.mu.Unlock()
		s.deciding.term = nil
	}
}

// begins is closed when the next term does.
func (s *Server) begins() <-chan struct{} {
	s.deciding.mu.RLock()
	defer s.deciding.mu.RUnlock()
	return s.deciding.next
}

// Decides says why no review is decided here now, nil when they are.
func (s *Server) Decides() error {
	s.deciding.mu.RLock()
	defer s.deciding.mu.RUnlock()
	return s.deciding.check()
}

// check expects the lock.
func (d *deciding) check() error {
	if d.term == nil || d.term.Err() != nil || leader.Check(d.term) != nil {
		return errStandingBy
	}
	return nil
}

// inTerm calls decide in a term, and says why what it did counts for nothing: there
// is no term, or it was over before the end.
func (s *Server) inTerm(decide func()) error {
	s.deciding.mu.RLock()
	defer s.deciding.mu.RUnlock()
	if err := s.deciding.check(); err != nil {
		return err
	}
	decide()
	return s.deciding.check()
}

// standBy answers a review that another replica has to decide.
func (s *Server) standBy(w http.ResponseWriter, _ *http.Request, _ []byte, decide func() (begun <-chan struct{})) {
	if decide() == nil {
		return
	}
	// The API server keeps its connections: closed, and asked to try again, it
	// connects to the replica that decides.
	w.Header().Set("Connection", "close")
	w.Header().Set("Retry-After", "1")
	serve.Error(w, http.StatusServiceUnavailable, "this replica of the webhook does not decide now: %v; try again in a moment", errStandingBy)
}

// fromPeer answers a review that another replica has forwarded: it is decided now or
// not here.
func (s *Server) fromPeer(w http.ResponseWriter, _ *http.Request, _ []byte, decide func() (begun <-chan struct{})) {
	if decide() != nil {
		serve.Error(w, http.StatusServiceUnavailable, "%v", errStandingBy)
	}
}
