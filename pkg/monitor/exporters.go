package monitor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"

	"heteroaccel.io/pkg/telemetry"
)

// target is one exporter, or a name behind which there are many.
type target struct {
	url *url.URL
	// namespace is that of the Service whose every address is an exporter, ""
	// where the URL is that of one.
	namespace string
}

// lookup returns the addresses of a host.
type lookup func(ctx context.Context, host string) ([]string, error)

// exporters scrapes exporters directly.
type exporters struct {
	targets []target
	scraper *scraper
	resolve lookup
	pods    *Pods // may be nil

	mu    sync.Mutex
	bound map[string]string // the node of each URL
}

// Exporters returns a source that scrapes exporters directly. A target is a URL
// such as http://node-1:9817; its path is /metrics unless it has one. With the
// scheme dns+http every address of a headless Service is scraped, looked up each
// time, if pods know a pod of the Service's namespace there; pods may be nil where
// the API server is not followed.
//
// A page speaks for one node: that of its pod, or, at a URL, the node that it
// spoke for first. If it says another name, or two pages say the same, the error
// has a *Conflict and no scrape of the node is returned. A scrape's Time is when
// it started.
func Exporters(targets []string, pods *Pods, client *http.Client) (Source, error) {
	if len(targets) == 0 {
		return nil, errors.New("no exporter given: write http://HOST:9817, or dns+http://SERVICE.NAMESPACE:9817")
	}
	e := &exporters{scraper: newScraper(client), resolve: net.DefaultResolver.LookupHost, pods: pods, bound: map[string]string{}}
	for _, t := range targets {
		parsed, err := parseTarget(t)
		if err != nil {
			return nil, err
		}
		if parsed.namespace != "" && pods != nil {
			pods.watch(parsed.namespace)
		}
		e.targets = append(e.targets, parsed)
	}
	return e.fetch, nil
}

func parseTarget(s string) (target, error) {
	rest, dns := strings.CutPrefix(strings.TrimSpace(s), "dns+")
	u, err := url.Parse(rest)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return target{}, fmt.Errorf("%q is not an exporter: write http://HOST:9817, or dns+http://SERVICE.NAMESPACE:9817", s)
	}
	if u.Path == "" || u.Path == "/" {
		u.Path = "/metrics"
	}
	if !dns {
		return target{url: u}, nil
	}
	labels := strings.Split(u.Hostname(), ".")
	switch {
	case u.Scheme != "http":
		return target{}, fmt.Errorf("%q: dns+ works with http only: certificates do not name addresses", s)
	case len(labels) < 2 || labels[1] == "":
		return target{}, fmt.Errorf("%q does not name the Service's namespace: write dns+http://SERVICE.NAMESPACE:9817", s)
	}
	if u.Port() == "" {
		u.Host = net.JoinHostPort(u.Hostname(), "80")
	}
	return target{u, labels[1]}, nil
}

// page is one exporter's page: its URL, and the Host header to request it with.
type page struct {
	url, host string
	// node is the only one that it may speak for, "" if that is not known.
	node string
	// binds is set for a URL of one exporter, which is bound to a node.
	binds bool
}

// fetch is the Source.
func (e *exporters) fetch(ctx context.Context) ([]telemetry.Scrape, error) {
	pages, errs := e.pages(ctx)
	scrapes, failed := e.scraper.all(ctx, pages)
	accepted, conflicts := accept(pages, scrapes)
	e.bind(accepted)
	var read []telemetry.Scrape
	for _, a := range accepted {
		read = append(read, a.scrape)
	}
	return read, errors.Join(append(append(errs, failed...), conflicts...)...)
}

// pages lists every page, by the addresses of targets that are Services.
func (e *exporters) pages(ctx context.Context) ([]page, []error) {
	var pages []page
	var errs []error
	for _, t := range e.targets {
		if t.namespace == "" {
			u := t.url.String()
			e.mu.Lock()
			pages = append(pages, page{u, t.url.Host, e.bound[u], true})
			e.mu.Unlock()
			continue
		}
		of, err := e.pagesOf(ctx, t)
		pages, errs = append(pages, of...), append(errs, err)
	}
	return pages, errs
}

// pagesOf lists the pages of a Service's addresses.
func (e *exporters) pagesOf(ctx context.Context, t target) ([]page, error) {
	ctx, cancel := context.WithTimeout(ctx, scrapeTimeout)
	defer cancel()
	addresses, err := e.resolve(ctx, t.url.Hostname())
	if err != nil {
		return nil, fmt.Errorf("look up the exporters of %s: %w", t.url.Hostname(), err)
	}
	var nodes map[netip.Addr]string
	if e.pods != nil {
		if err := e.pods.wait(ctx); err != nil {
			return nil, fmt.Errorf("scrape the exporters of %s: %w", t.url.Hostname(), err)
		}
		nodes = e.pods.nodes(t.namespace)
	}
	var pages []page
	var errs []error
	for _, address := range addresses {
		u := *t.url
		u.Host = net.JoinHostPort(address, t.url.Port())
		node := ""
		if e.pods != nil {
			if a, err := netip.ParseAddr(address); err == nil {
				node = nodes[a.Unmap()]
			}
			if node == "" {
				errs = append(errs, fmt.Errorf("scrape %s: no pod of namespace %s runs there", u.Host, t.namespace))
				continue
			}
		}
		pages = append(pages, page{u.String(), t.url.Host, node, false})
	}
	return pages, errors.Join(errs...)
}

// bind remembers which node each URL speaks for.
func (e *exporters) bind(accepted []accepted) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, a := range accepted {
		if a.binds {
			e.bound[a.url] = a.scrape.Node
		}
	}
}

// accepted is a scrape that counts, and the page it is from.
type accepted struct {
	page
	scrape telemetry.Scrape
}

// accept returns the scrapes of pages that speak for their own node, alone, and
// a *Conflict for each other node. A scrape without a node failed.
func accept(pages []page, scrapes []telemetry.Scrape) ([]accepted, []error) {
	var conflicts []error
	claims := map[string][]accepted{}
	var nodes []string
	for i, s := range scrapes {
		p := pages[i]
		switch {
		case s.Node == "":
		case p.node != "" && p.node != s.Node:
			conflicts = append(conflicts, &Conflict{p.node, fmt.Sprintf("its exporter, %s, says that it is node %s. If its machine was given that name, restart this program", p.url, shorten(s.Node))})
		default:
			if claims[s.Node] == nil {
				nodes = append(nodes, s.Node)
			}
			claims[s.Node] = append(claims[s.Node], accepted{p, s})
		}
	}
	var out []accepted
	for _, node := range nodes {
		of := claims[node]
		if known := knownAs(of, node); len(known) > 0 { // others who claim to be it do not silence it
			for _, a := range of {
				if a.node == "" {
					conflicts = append(conflicts, fmt.Errorf("%s claims to be node %s, which is at %s", a.url, shorten(node), known[0].url))
				}
			}
			of = known
		}
		if len(of) > 1 {
			conflicts = append(conflicts, &Conflict{node, fmt.Sprintf("both %s and %s say that they are it", of[0].url, of[1].url)})
			continue
		}
		out = append(out, of[0])
	}
	return out, conflicts
}

// knownAs are those of the scrapes whose page is known to be the node's.
func knownAs(scrapes []accepted, node string) []accepted {
	var known []accepted
	for _, a := range scrapes {
		if a.node == node {
			known = append(known, a)
		}
	}
	return known
}
