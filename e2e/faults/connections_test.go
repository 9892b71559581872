//go:build faults

package faults

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"heteroaccel.io/e2e/faults/apiproxy"
)

func TestConnectionsBreak(t *testing.T) {
	x := start(t, behind...)
	x.under(t, fault{name: "connections cut", breaks: func(ctx context.Context) (string, error) {
		cut := map[string]int{}
		for range 40 {
			for name, p := range x.proxies {
				cut[name] += p.Cut()
			}
			if err := pause(ctx, 400*time.Millisecond); err != nil {
				return "", err
			}
		}
		return x.each("%d connections", 3, func(name string, _ *apiproxy.Proxy) int { return cut[name] })
	}}, x.wave, x.sessions)
	x.under(t, fault{name: "connections half open", breaks: func(context.Context) (string, error) {
		return x.each("%d connections", 1, func(_ string, p *apiproxy.Proxy) int { return p.Stall() })
	}}, x.wave, x.sessions)
}

func TestAnswersBreak(t *testing.T) {
	const lasts = 20 * time.Second
	x := start(t, behind...)
	x.under(t, fault{name: "API server slow", breaks: func(ctx context.Context) (string, error) {
		before := map[string]int{}
		for name, p := range x.proxies {
			before[name] = calls(p)
			p.Set(apiproxy.Late(400 * time.Millisecond))
			defer p.Set(nil)
		}
		if err := pause(ctx, lasts); err != nil {
			return "", err
		}
		return x.each("%d calls 400 ms late", 1, func(name string, p *apiproxy.Proxy) int { return calls(p) - before[name] })
	}}, x.wave, x.sessions)
	x.under(t, fault{name: "API server's errors", breaks: func(ctx context.Context) (string, error) {
		refusals, before := map[string]*apiproxy.Refusals{}, map[string]int{}
		for name, p := range x.proxies {
			refusals[name] = &apiproxy.Refusals{Part: 0.25, Random: rand.New(rand.NewPCG(1, uint64(len(name))))}
			before[name] = calls(p)
			p.Set(refusals[name].Fault)
			defer p.Set(nil)
		}
		if err := pause(ctx, lasts); err != nil {
			return "", err
		}
		return x.each("%d calls refused", 1, func(name string, _ *apiproxy.Proxy) (n int) {
			for _, made := range refusals[name].Made() {
				n += made
			}
			return n
		})
	}}, x.wave, x.sessions)
}

// each says what happened to each program behind a proxy; that it happened to one less
// often than least is an error: the test would prove nothing of it.
func (x *site) each(format string, least int, of func(string, *apiproxy.Proxy) int) (string, error) {
	var said []string
	for _, name := range behind {
		n := of(name, x.proxies[name])
		if n < least {
			return "", fmt.Errorf("of the %s "+format+", want %d: it proves too little", name, n, least)
		}
		said = append(said, fmt.Sprintf("of the %s "+format, name, n))
	}
	return strings.Join(said, ", "), nil
}

// calls are how many have passed a proxy.
func calls(p *apiproxy.Proxy) (all int) {
	for _, n := range p.Calls() {
		all += n
	}
	return all
}
