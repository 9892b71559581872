package nodes

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"

	"heteroaccel.io/e2e/cluster"
	"heteroaccel.io/e2e/process"
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
// reach Services at their addresses.
func (s *Site) StartProxy(c *cluster.Cluster) error {
	args, err := s.proxy(c, "control-plane", hubAddress)
	if err != nil {
		return err
	}
	_, err = c.StartProcess("kube-proxy", "nsenter", append([]string{"--net=" + s.Place().Network, "--"}, args...), nil)
	return err
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
