package serve

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/rs/zerolog"
	"heteroaccel.io/pkg/serve/servetest"
)

// echo answers once it has read the body.
var echo = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	_, _ = io.WriteString(w, "done")
})

// TestNoRequestIsLost: replicas end while a client posts over connections that it
// keeps, one after another, as the API server does. New connections go to another
// replica, as kube-proxy sends them. With Run instead, two of three ends lose a request.
func TestNoRequestIsLost(t *testing.T) {
	stays := httptest.NewUnstartedServer(echo)
	stays.StartTLS()
	defer stays.Close()
	sent := 0
	for range 100 {
		sent += posts(t, stays)
	}
	t.Logf("%d requests while 100 replicas ended", sent)
}

// posts sends requests while a replica ends, and returns how many.
func posts(t *testing.T, stays *httptest.Server) (sent int) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	addr := servetest.FreeAddress(t)
	ended := make(chan error, 1)
	go func() { ended <- RunReplica(ctx, addr, echo, stays.TLS.Clone(), zerolog.Nop()) }()
	listens(t, addr)

	var target atomic.Value // of new connections
	target.Store(addr)
	transport := &http.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"http/1.1"}}, // as the API server's
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, target.Load().(string))
		},
	}
	defer transport.CloseIdleConnections()
	post := func() error {
		sent++
		resp, err := (&http.Client{Transport: transport}).Post("https://webhook.svc/", "application/json", bytes.NewReader(make([]byte, 9000)))
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		_, err = io.Copy(io.Discard, resp.Body)
		return err
	}
	if err := post(); err != nil {
		t.Fatal(err)
	}
	target.Store(stays.Listener.Addr().String())
	lost := make(chan error, 1)
	over := make(chan struct{})
	go func() {
		defer close(lost)
		for {
			select {
			case <-over:
				return
			default:
			}
			if err := post(); err != nil {
				lost <- err
				return
			}
		}
	}()
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("the replica that ends: %v", err)
	}
	close(over)
	if err := <-lost; err != nil {
		t.Errorf("a request was lost: %v", err)
	}
	return sent
}

// listens waits until somebody does.
func listens(t *testing.T, addr string) {
	t.Helper()
	servetest.Until(t, func() error {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			return err
		}
		return c.Close()
	})
}

// TestClientsThatStay: a client that keeps a connection without using it, and one that
// comes back with new ones again and again, do not keep a replica from ending.
func TestClientsThatStay(t *testing.T) {
	for name, comes := range map[string]bool{"unused": false, "comes back": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			addr := servetest.FreeAddress(t)
			ended := make(chan error, 1)
			go func() { ended <- RunReplica(ctx, addr, echo, nil, zerolog.Nop()) }()
			listens(t, addr)
			client := &http.Client{Transport: &http.Transport{}}
			get := func() error {
				resp, err := client.Get("http://" + addr)
				if err != nil {
					return err
				}
				defer resp.Body.Close()
				if body, err := io.ReadAll(resp.Body); err != nil || string(body) != "done" {
					return fmt.Errorf("%q, %v", body, err)
				}
				return nil
			}
			if err := get(); err != nil {
				t.Fatal(err)
			}
			cancel()
			for comes && get() == nil { // until it no longer listens
			}
			if err := <-ended; err != nil {
				t.Error(err)
			}
		})
	}
}
