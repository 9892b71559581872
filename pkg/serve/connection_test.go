package serve

import (
	"context"
	"io"
	"net/http"
	"testing"

	"github.com/rs/zerolog"
	"heteroaccel.io/pkg/serve/servetest"
)

// TestConnectionOf: requests of one connection name the same, and no other does,
// though it comes from the same address.
func TestConnectionOf(t *testing.T) {
	addr := servetest.FreeAddress(t)
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	name := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, ConnectionOf(r)) })
	go func() { served <- Run(ctx, addr, name, nil, zerolog.Nop()) }()
	transport := &http.Transport{}
	client := &http.Client{Transport: transport}
	ask := func() string {
		var resp *http.Response
		servetest.Until(t, func() (err error) { resp, err = client.Get("http://" + addr); return err })
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return string(body)
	}
	first, second := ask(), ask()
	transport.CloseIdleConnections()
	third := ask()
	if first == "" || first != second || third == first {
		t.Errorf("two requests of one connection name it %q and %q, one of another %q", first, second, third)
	}
	transport.CloseIdleConnections()
	cancel()
	if err := <-served; err != nil {
		t.Error(err)
	}
}
