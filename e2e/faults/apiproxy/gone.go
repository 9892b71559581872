package apiproxy

import (
	"bytes"
	"io"
	"net/http"
)

// expired is in the API server's status of a watch that begins too early, in each
// encoding.
var expired = []byte("too old resource version")

// look counts answers that say 410: as a status, or within a watch.
func (p *Proxy) look(c Call, resp *http.Response) {
	switch {
	case resp.StatusCode == http.StatusGone:
		p.mu.Lock()
		p.gone++
		p.mu.Unlock()
	case c.Verb == "watch":
		resp.Body = &events{ReadCloser: resp.Body, of: p}
	}
}

// events are those of a watch.
type events struct {
	io.ReadCloser
	of   *Proxy
	seen bool
}

// Read implements io.Reader. The status is the first event of such a watch, and
// comes in one piece.
func (e *events) Read(b []byte) (int, error) {
	n, err := e.ReadCloser.Read(b)
	if !e.seen && bytes.Contains(b[:n], expired) {
		e.seen = true
		e.of.mu.Lock()
		e.of.gone++
		e.of.mu.Unlock()
	}
	return n, err
}
