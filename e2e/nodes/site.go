package nodes

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"heteroaccel.io/e2e/cluster"
	"heteroaccel.io/e2e/poll"
	"heteroaccel.io/e2e/process"
)

// The control plane's kube-proxy: how long after its end it is started again, and how
// long it may take to have its rules.
const (
	proxyPause = time.Second
	proxyLimit = 3 * time.Minute
)

// Config says what a site is made with.
type Config struct {
	// Out is where each step is reported; nil for nowhere.
	Out io.Writer
	// Binaries have the kubelet and kube-proxy.
	Binaries cluster.Binaries
	// Programs is the directory with nodeinit and janitor, compiled.
	Programs string
	// Pause names the image that holds a pod's namespaces. Every node must be
	// given it before its first pod.
	Pause string
}

// Site is the nodes of a cluster with their network. Its methods may be called
// from several goroutines, but for Close, which is the last one to be called.
type Site struct {
	cfg     Config
	dir     string
	janitor *janitor
	center  *process.Process // has the network of the control plane
	hub     *hub

	mu    sync.Mutex
	nodes []*Node
}

// Open makes the network, without a node yet.
func Open(ctx context.Context, cfg Config) (_ *Site, err error) {
	if err := errors.Join(Check(), freeOfOthers()); err != nil {
		return nil, err
	}
	if cfg.Out == nil {
		cfg.Out = io.Discard
	}
	s := &Site{cfg: cfg}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	// Short: the sockets below may have 107 bytes in all.
	if s.dir, err = os.MkdirTemp("", "heteroaccel-nodes-"); err != nil {
		return nil, fmt.Errorf("make the directory of the nodes: %w", err)
	}
	if s.janitor, err = startJanitor(filepath.Join(cfg.Programs, "janitor")); err != nil {
		return nil, err
	}
	if err := s.janitor.directory(s.dir); err != nil {
		return nil, err
	}
	if err := os.Mkdir(filepath.Join(s.dir, "logs"), 0o755); err != nil {
		return nil, fmt.Errorf("make the directory of the nodes: %w", err)
	}
	// Nothing but a process to hold the namespace.
	s.center, err = process.Start(process.Spec{
		Name: "center", Path: "sleep", Args: []string{"infinity"},
		Dir: s.dir, Log: s.log("center"), Namespaces: syscall.CLONE_NEWNET,
	})
	if err != nil {
		return nil, err
	}
	if s.hub, err = newHub(s.center.PID()); err != nil {
		return nil, err
	}
	// Only now: before, it could have been another's.
	if err := s.janitor.device(hostDevice); err != nil {
		return nil, err
	}
	for name, value := range map[string]string{
		"net/ipv4/ip_forward": "1",
		// The bridge only passes on; kube-proxy's rules are for what is routed.
		"net/bridge/bridge-nf-call-iptables": "0",
	} {
		if err := s.sysctl(ctx, name, value); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// Place is where the site's control plane is to listen.
func (s *Site) Place() cluster.Place { return place(s.center.PID()) }

// Sweep has another directory removed when all is over.
func (s *Site) Sweep(dir string) error { return s.janitor.directory(dir) }

// sysctl sets a parameter of the control plane's network; one that the kernel
// does not have is as well.
func (s *Site) sysctl(ctx context.Context, name, value string) error {
	path := "/proc/sys/" + name
	if _, err := os.Stat(path); err != nil {
		return nil
	}
	out, err := exec.CommandContext(ctx, "nsenter", "--net="+s.Place().Network, "--", "sh", "-c", "echo "+value+" > "+path).CombinedOutput()
	if err != nil {
		return fmt.Errorf("set %s: %w: %s", name, err, out)
	}
	return nil
}

// StartProxy runs kube-proxy for the control plane, so that it, and the host,
// reach Services at their addresses. As a DaemonSet's it is started again
// when it ends before the cluster does.
func (s *Site) StartProxy(c *cluster.Cluster) error {
	args, err := s.proxy(c, "control-plane", hubAddress)
	if err != nil {
		return err
	}
	args = append([]string{"--net=" + s.Place().Network, "--"}, args...)
	p, err := c.StartProcess("kube-proxy", "nsenter", args, nil)
	if err != nil {
		return err
	}
	go func() {
		for err == nil {
			<-p.Done()
			<-time.After(proxyPause)
			p, err = c.StartProcess("kube-proxy", "nsenter", args, nil) // fails when the cluster is stopped
		}
	}()
	return nil
}

// WaitServices waits until that kube-proxy has its rules: it looks half a minute for
// a node of its own, which the control plane has none.
func (s *Site) WaitServices(ctx context.Context) error {
	return poll.Within(ctx, proxyLimit, func(ctx context.Context) error {
		conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "tcp", serviceAddress)
		if err != nil {
			return fmt.Errorf("reach the API server at the address of its Service: %w", err)
		}
		return conn.Close()
	})
}

// Services is what the control plane's kube-proxy made of the Services, for
// somebody who looks why one is not reached: its log, its rules and the
// neighbors that the kernel has found or not.
func (s *Site) Services(ctx context.Context, c *cluster.Cluster) string {
	out, err := exec.CommandContext(ctx, "nsenter", "--net="+s.Place().Network, "--", "sh", "-c",
		"iptables-save -t nat | grep -e KUBE-SVC -e KUBE-SEP; cat /proc/net/arp").CombinedOutput()
	if err != nil {
		out = fmt.Appendf(out, "%v\n", err)
	}
	return c.Process("kube-proxy").Said() + "\n" + string(out)
}

// Close ends the nodes and takes everything away. The cluster should be
// stopped before. A site that was never opened is closed already.
func (s *Site) Close() error {
	s.mu.Lock()
	nodes := s.nodes
	s.nodes = nil
	s.mu.Unlock()
	for _, n := range nodes {
		n.stop()
	}
	if s.hub != nil {
		s.hub.release()
	}
	if s.center != nil {
		s.center.Kill()
	}
	if s.janitor == nil {
		return os.RemoveAll(s.dir)
	}
	return s.janitor.finish()
}

func (s *Site) log(name string) string { return filepath.Join(s.dir, "logs", name+".log") }

func (s *Site) sayf(format string, args ...any) { fmt.Fprintf(s.cfg.Out, format+"\n", args...) }
