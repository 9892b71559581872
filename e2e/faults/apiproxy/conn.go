package apiproxy

import (
	"net"
	"sync"
)

// conns are the connections of programs, so that they can be broken.
type conns struct {
	net.Listener

	mu   sync.Mutex
	open map[*conn]bool
}

// Accept implements net.Listener.
func (l *conns) Accept() (net.Conn, error) {
	inner, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	c := &conn{Conn: inner, of: l, closed: make(chan struct{}), stalled: make(chan struct{})}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open[c] = true
	return c, nil
}

// each calls f for all open connections, and returns how many there were.
func (l *conns) each(f func(*conn)) int {
	l.mu.Lock()
	var all []*conn
	for c := range l.open {
		all = append(all, c)
	}
	l.mu.Unlock()
	for _, c := range all {
		f(c)
	}
	return len(all)
}

// conn is one of them.
type conn struct {
	net.Conn
	of       *conns
	closing  sync.Once
	closed   chan struct{}
	stalling sync.Once
	stalled  chan struct{}
}

// stall has nothing arrive any more, in either direction, while the connection
// stays open: what a router does that lost its state.
func (c *conn) stall() { c.stalling.Do(func() { close(c.stalled) }) }

// cut ends the connection by a reset.
func (c *conn) cut() {
	if tcp, ok := c.Conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // without it the end is a FIN, which ends it too
	}
	_ = c.Close() // it may have ended by itself
}

// Read implements net.Conn.
func (c *conn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	select {
	case <-c.stalled:
		<-c.closed
		return 0, net.ErrClosed
	default:
		return n, err
	}
}

// Write implements net.Conn.
func (c *conn) Write(p []byte) (int, error) {
	select {
	case <-c.stalled:
		return len(p), nil
	default:
		return c.Conn.Write(p)
	}
}

// Close implements net.Conn.
func (c *conn) Close() error {
	c.closing.Do(func() {
		c.of.mu.Lock()
		delete(c.of.open, c)
		c.of.mu.Unlock()
		close(c.closed)
	})
	return c.Conn.Close()
}
