package apiproxy

import (
	"errors"
	"io"
	"net/http"
	"time"

	auditv1 "k8s.io/apiserver/pkg/apis/audit/v1"

	"heteroaccel.io/e2e/faults/terms"
)

// Write is a call that changes something, as it came from the program.
type Write struct {
	Call
	// AuditID is what the API server's audit log calls it.
	AuditID string
	// Began is when its head was there, and Ended when all of it was; zero if it never
	// was.
	Began, Ended time.Time
}

// Changes reports whether a call may change something.
func (c Call) Changes() bool {
	switch c.Verb {
	case "create", "update", "patch", "delete", "deletecollection":
		return !c.DryRun
	}
	return false
}

// Writes are those of the program so far, in the order of their coming; nil where the
// proxy has no name.
func (p *Proxy) Writes() (writes []Write) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, w := range p.writes {
		writes = append(writes, *w)
	}
	return writes
}

// note notes a write, which the API server gets under an audit ID of ours.
func (p *Proxy) note(c Call, r *http.Request) {
	if p.name == "" || !c.Changes() {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	w := &Write{Call: c, AuditID: terms.AuditID(p.name, len(p.writes)+1), Began: time.Now()}
	p.writes = append(p.writes, w)
	r.Header.Set(auditv1.HeaderAuditID, w.AuditID)
	if r.Body == nil || r.Body == http.NoBody {
		w.Ended = w.Began
		return
	}
	r.Body = &ending{ReadCloser: r.Body, of: p, write: w}
}

// ending is the body of a write, whose end is noted.
type ending struct {
	io.ReadCloser
	of    *Proxy
	write *Write
}

// Read implements io.Reader.
func (e *ending) Read(b []byte) (int, error) {
	n, err := e.ReadCloser.Read(b)
	if errors.Is(err, io.EOF) {
		e.of.mu.Lock()
		defer e.of.mu.Unlock()
		if e.write.Ended.IsZero() {
			e.write.Ended = time.Now()
		}
	}
	return n, err
}
