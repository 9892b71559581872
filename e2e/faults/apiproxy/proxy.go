package apiproxy

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"sync"
	"sync/atomic"

	"k8s.io/client-go/rest"
)

// Send carries a call out. Its answer's body is the caller's to close.
type Send func() (*http.Response, error)

// Fault is what happens to a call. An error ends the program's request without an
// answer, as a connection that breaks does.
type Fault func(ctx context.Context, c Call, send Send) (*http.Response, error)

// Proxy is one that runs.
type Proxy struct {
	name  string
	url   string
	conns *conns
	next  http.RoundTripper
	fault atomic.Pointer[Fault]
	serve http.Server
	done  chan struct{}

	mu     sync.Mutex
	calls  map[string]int
	gone   int
	writes []*Write
}

// Config says how programs and the API server are reached.
type Config struct {
	// Name is what the API server's audit log tells the proxy's calls by: their audit
	// IDs begin with it. "" for IDs of the API server's own.
	Name string
	// API is a configuration that may impersonate everybody.
	API *rest.Config
	// CA is the file with the certificate of those whom programs' certificates are
	// from, Cert and Key those that the proxy shows for 127.0.0.1.
	CA, Cert, Key string
}

// Start starts a proxy on the loopback interface.
func Start(c Config) (*Proxy, error) {
	next, err := rest.TransportFor(c.API)
	if err != nil {
		return nil, fmt.Errorf("reach the API server: %w", err)
	}
	to, err := url.Parse(c.API.Host)
	if err != nil {
		return nil, fmt.Errorf("reach the API server: %w", err)
	}
	pem, err := os.ReadFile(c.CA)
	if err != nil {
		return nil, fmt.Errorf("read the CA of the programs: %w", err)
	}
	known := x509.NewCertPool()
	if !known.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s has no certificate", c.CA)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen for programs: %w", err)
	}
	p := &Proxy{
		name: c.Name, url: "https://" + listener.Addr().String(),
		conns: &conns{Listener: listener, open: map[*conn]bool{}},
		next:  next, done: make(chan struct{}), calls: map[string]int{},
	}
	silent := log.New(io.Discard, "", 0) // what breaks is meant to
	p.serve = http.Server{
		Handler: &httputil.ReverseProxy{
			Rewrite: func(r *httputil.ProxyRequest) {
				r.SetURL(to)
				impersonate(r)
			},
			Transport: p, FlushInterval: -1, ErrorLog: silent,
			// The program gets no answer, and not a proxy's 502.
			ErrorHandler: func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
		},
		TLSConfig: &tls.Config{ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: known},
		ErrorLog:  silent,
	}
	go func() {
		defer close(p.done)
		_ = p.serve.ServeTLS(p.conns, c.Cert, c.Key) // it ends by Close
	}()
	return p, nil
}

// impersonate has a call be its program's own.
func impersonate(r *httputil.ProxyRequest) {
	who := r.In.TLS.PeerCertificates[0].Subject
	r.Out.Header.Set("Impersonate-User", who.CommonName)
	r.Out.Header["Impersonate-Group"] = who.Organization
}

// URL is where programs reach it.
func (p *Proxy) URL() string { return p.url }

// Set says what happens to calls from now on; nil for nothing.
func (p *Proxy) Set(f Fault) {
	if f == nil {
		p.fault.Store(nil)
		return
	}
	p.fault.Store(&f)
}

// Cut ends all connections, and returns how many there were.
func (p *Proxy) Cut() int { return p.conns.each((*conn).cut) }

// Stall leaves all connections open and has nothing arrive over them any more;
// those that come later work. It returns how many there were.
func (p *Proxy) Stall() int { return p.conns.each((*conn).stall) }

// Calls are how many calls of each sort there were.
func (p *Proxy) Calls() map[string]int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return maps.Clone(p.calls)
}

// Gone is how often the API server said that what a watch, or a list, begins
// with is no longer known: 410.
func (p *Proxy) Gone() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.gone
}

// Close ends the proxy and its connections.
func (p *Proxy) Close() {
	_ = p.serve.Close() // nothing is left to be done about it
	<-p.done
}

// RoundTrip implements http.RoundTripper for what is passed on.
func (p *Proxy) RoundTrip(r *http.Request) (*http.Response, error) {
	c, err := CallOf(r)
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	p.calls[c.String()]++
	p.mu.Unlock()
	p.note(c, r)
	send := func() (*http.Response, error) {
		resp, err := p.next.RoundTrip(r)
		if err == nil {
			p.look(c, resp)
		}
		return resp, err
	}
	fault := p.fault.Load()
	if fault == nil {
		return send()
	}
	return (*fault)(r.Context(), c, send)
}

// ErrGone is the error of a call whose program is no more.
var ErrGone = errors.New("the program is gone")
