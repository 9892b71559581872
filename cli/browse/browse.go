package browse

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"sync"
	"time"

	"heteroaccel.io/cli/pages"
)

// Find returns a client of an extender that is ready now. What it needs lasts until ctx
// ends.
type Find func(ctx context.Context) (*pages.Client, error)

// retry is how long an extender that could not be reached is not looked for again.
const retry = time.Second

// Proxy passes requests for the extender's pages on. One that was found answers until it
// cannot be reached; then another one is found.
//
// It takes requests that name it by a loopback address alone, so that no page of somebody
// else's can have a browser read these under a name of its own, and GET and HEAD alone. The
// pages know their callers by the token that the client sends, if it does.
type Proxy struct {
	find Find
	ctx  context.Context

	mu      sync.Mutex
	current *upstream
	failed  error
	until   time.Time
}

// upstream is an extender that was found.
type upstream struct {
	proxy *httputil.ReverseProxy
	end   context.CancelFunc
}

// New returns a proxy that has found no extender yet, and finds them until ctx ends.
func New(ctx context.Context, find Find) *Proxy { return &Proxy{find: find, ctx: ctx} }

// Reach finds an extender, if none is there: the error says why none can be.
func (p *Proxy) Reach() error {
	_, err := p.reach()
	return err
}

func (p *Proxy) reach() (*upstream, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.current != nil {
		return p.current, nil
	}
	if p.failed != nil && time.Now().Before(p.until) {
		return nil, p.failed
	}
	ctx, end := context.WithCancel(p.ctx)
	client, err := p.find(ctx)
	var base *url.URL
	if err == nil {
		base, err = url.Parse(client.URL)
	}
	if err != nil {
		end()
		p.failed, p.until = err, time.Now().Add(retry)
		return nil, err
	}
	u := &upstream{end: end}
	u.proxy = &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(base)
			r.Out.Header.Del("Authorization") // the client sends its own
		},
		Transport:     client.HTTP.Transport, // without the time limit of one page: a stream has none
		FlushInterval: -1,
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			if r.Context().Err() != nil {
				return // the browser went away
			}
			p.drop(u)
			http.Error(w, fmt.Sprintf("the extender %s cannot be reached: %v", client.Name, err), http.StatusBadGateway)
		},
	}
	p.current, p.failed = u, nil
	return u, nil
}

// drop has another extender found in the place of one.
func (p *Proxy) drop(u *upstream) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.current == u {
		p.current = nil
		u.end()
	}
}

// ServeHTTP is of http.Handler.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case !loopback(r.Host):
		http.Error(w, "open this page by the address that was printed", http.StatusForbidden)
		return
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "the pages are only to be looked at: use GET", http.StatusMethodNotAllowed)
		return
	}
	u, err := p.reach()
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	u.proxy.ServeHTTP(w, r)
}

// loopback reports whether a request's host is this computer.
func loopback(host string) bool {
	name, _, err := net.SplitHostPort(host)
	if err != nil {
		name = host
	}
	ip := net.ParseIP(name)
	return name == "localhost" || ip != nil && ip.IsLoopback()
}
