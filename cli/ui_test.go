package main

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
)

// TestUICommand: it prints an address, serves the pages there, and ends with the context.
func TestUICommand(t *testing.T) {
	s := extender(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	out, in := io.Pipe()
	done := make(chan error, 1)
	go func() { done <- does(ctx, in, io.Discard, "ui", "--extender-url", s.URL) }()
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	address := strings.TrimSuffix(strings.TrimPrefix(strings.Fields(line)[3], "http://"), "/ui/")
	resp, err := http.Get("http://" + address + "/pods")
	if err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	text, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	if err != nil || resp.StatusCode != http.StatusOK || !strings.Contains(string(text), "waiter") {
		t.Errorf("the page is %d %s, %v", resp.StatusCode, text, err)
	}
	cancel()
	if err := <-done; err != nil {
		t.Errorf("it ended with %v", err)
	}
	if _, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", address); err == nil {
		t.Error("it serves although it has ended")
	}
}

// TestUICommandRefuses: what cannot be served is said in a sentence.
func TestUICommandRefuses(t *testing.T) {
	taken, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	_, port, err := net.SplitHostPort(taken.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		args []string
		want string
	}{
		"a port that is taken": {[]string{"--extender-url", "http://127.0.0.1:1", "--port", port}, "address already in use; choose another --port"},
		"no port":              {[]string{"--port", "70000"}, `invalid argument "70000" for "--port"`},
		"a CA without HTTPS":   {[]string{"--extender-ca", "ca.crt"}, "--extender-ca is of no use"},
		"no cluster":           {[]string{"--kubeconfig", "/nowhere"}, "find the API server"},
		"an argument":          {[]string{"nodes"}, "unknown command"},
	} {
		t.Run(name, func(t *testing.T) {
			err := does(t.Context(), io.Discard, io.Discard, append([]string{"ui"}, tt.args...)...)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("the error is %v, want %q", err, tt.want)
			}
		})
	}
}
