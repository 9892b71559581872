package stack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"time"

	"heteroaccel.io/e2e/poll"
)

// What a probe of the manifests takes, and how long a Service may lead to a process
// after its end.
const (
	probeEvery = time.Second
	probeFails = 2
)

// Service stands for the webhook's Service and kube-proxy, where processes have the
// places of pods: one address, each connection to which goes to one of the replicas
// that are ready. Those that are open stay with theirs.
type Service struct {
	s    *Stack
	ln   net.Listener
	ctx  context.Context // until Stop
	stop context.CancelFunc
	work sync.WaitGroup

	mu       sync.Mutex
	replicas []string
	ready    []string
	at       map[string]string // their addresses
	conns    map[net.Conn]bool
}

// StartService has the replicas of the webhook behind one address, that of the replica
// name: see Register. It returns once they are ready.
func (s *Stack) StartService(ctx context.Context, name string, replicas ...string) (*Service, error) {
	port, err := s.port(name)
	if err != nil {
		return nil, err
	}
	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		return nil, fmt.Errorf("listen as %s: %w", name, err)
	}
	until, stop := context.WithCancel(context.WithoutCancel(ctx))
	v := &Service{s: s, ln: ln, ctx: until, stop: stop, at: map[string]string{}, conns: map[net.Conn]bool{}}
	v.work.Go(v.accept)
	for _, r := range replicas {
		if err := v.Add(ctx, r); err != nil {
			v.Stop()
			return nil, err
		}
	}
	return v, nil
}

// Add has a replica behind the Service, and returns once it is ready. It leaves when its
// probes fail, and returns when they do not.
func (v *Service) Add(ctx context.Context, replica string) error {
	readyz, process := v.s.URL(replica+" status", "/readyz"), v.s.Process(replica)
	if err := v.s.ready(ctx, replica, readyz); err != nil {
		return err
	}
	v.mu.Lock()
	v.at[replica] = fmt.Sprintf("127.0.0.1:%d", v.s.ports[replica])
	v.replicas, v.ready = append(v.replicas, replica), append(v.ready, replica)
	v.mu.Unlock()
	v.work.Go(func() {
		for fails := 0; poll.SleepUntil(v.ctx, time.Now().Add(probeEvery)) == nil && v.has(replica); {
			call, cancel := context.WithTimeout(v.ctx, time.Second)
			_, err := Get(call, readyz)
			cancel()
			if fails++; err == nil {
				fails = 0
			}
			v.set(replica, fails < probeFails && !process.Ended())
		}
	})
	return nil
}

// Remove takes a replica away for good, as when its pod is deleted. Its connections
// stay.
func (v *Service) Remove(replica string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.replicas = slices.DeleteFunc(v.replicas, func(r string) bool { return r == replica })
	v.ready = slices.DeleteFunc(v.ready, func(r string) bool { return r == replica })
}

func (v *Service) has(replica string) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return slices.Contains(v.replicas, replica)
}

func (v *Service) set(replica string, ready bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.ready = slices.DeleteFunc(v.ready, func(r string) bool { return r == replica })
	if ready && slices.Contains(v.replicas, replica) {
		v.ready = append(v.ready, replica)
	}
}

// Stop ends it, and its connections.
func (v *Service) Stop() {
	v.stop()
	_ = v.ln.Close() // it was open
	v.mu.Lock()
	v.replicas = nil
	for c := range v.conns {
		_ = c.Close() // either side may have
	}
	v.mu.Unlock()
	v.work.Wait()
}

func (v *Service) accept() {
	for {
		c, err := v.ln.Accept()
		if err != nil {
			return
		}
		to, err := v.pick()
		if err == nil {
			var d net.Conn
			if d, err = net.Dial("tcp", to); err == nil {
				v.join(c, d)
				continue
			}
		}
		_ = c.(*net.TCPConn).SetLinger(0) // refused, and not ended
		_ = c.Close()
	}
}

func (v *Service) pick() (address string, err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.ready) == 0 {
		return "", errors.New("no replica is ready")
	}
	return v.at[v.ready[rand.IntN(len(v.ready))]], nil
}

// join copies both ways until either end closes.
func (v *Service) join(ends ...net.Conn) {
	v.mu.Lock()
	for _, c := range ends {
		v.conns[c] = true
	}
	v.mu.Unlock()
	copies := func(to, from net.Conn) {
		_, err := io.Copy(to, from)
		if err != nil { // a process that was killed resets its connections
			_ = to.(*net.TCPConn).SetLinger(0)
		}
		v.mu.Lock()
		defer v.mu.Unlock()
		for _, c := range ends {
			_ = c.Close() // the other copy may have
			delete(v.conns, c)
		}
	}
	v.work.Go(func() { copies(ends[0], ends[1]) })
	v.work.Go(func() { copies(ends[1], ends[0]) })
}
