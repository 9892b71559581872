package servetest

import (
	"errors"
	"net"
	"testing"
	"time"
)

// FreeAddress is an address on 127.0.0.1 that nobody listens on.
func FreeAddress(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

// Until waits until check passes; its last error fails the test after a minute.
func Until(t *testing.T, check func() error) {
	t.Helper()
	deadline := time.After(time.Minute)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for {
		err := check()
		if err == nil {
			return
		}
		select {
		case <-deadline:
			t.Fatal(err)
		case <-tick.C:
		}
	}
}

// Eventually waits until what is wanted is so; it fails the test after a minute.
func Eventually(t *testing.T, what string, so func() bool) {
	t.Helper()
	Until(t, func() error {
		if !so() {
			return errors.New("waited in vain until " + what)
		}
		return nil
	})
}
