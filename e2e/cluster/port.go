package cluster

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
)

// Ports are chosen below the range from which Linux takes the local ports of
// outgoing connections (32768 and up by default), so that no connection can
// take one between its choice and its use.
const firstPort, lastPort = 20000, 32000

var (
	portsMu sync.Mutex
	ports   = map[int]bool{} // handed out by this program
)

// FreePort returns a loopback TCP port that nothing listens on and that this
// program did not hand out before. Another program may still take it: start
// what needs it, and on "address already in use" try another.
func FreePort() (int, error) {
	portsMu.Lock()
	defer portsMu.Unlock()
	for range 1000 {
		port := firstPort + rand.IntN(lastPort-firstPort)
		if ports[port] {
			continue
		}
		// All interfaces: a port taken on another one is not free either.
		listener, err := net.Listen("tcp", fmt.Sprintf(":%d", port))
		if err != nil {
			continue
		}
		if err := listener.Close(); err != nil {
			return 0, fmt.Errorf("find a free port: %w", err)
		}
		ports[port] = true
		return port, nil
	}
	return 0, errors.New("no free TCP port was found between 20000 and 32000")
}
