package nodes

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	corev1 "k8s.io/api/core/v1"

	"heteroaccel.io/e2e/cluster"
	"heteroaccel.io/e2e/machine"
	"heteroaccel.io/e2e/nodes/plan"
	"heteroaccel.io/e2e/process"
)

// startLimit is how long a program may take to be ready on a busy computer.
const startLimit = 2 * time.Minute

// Node is a node with its processes. Its methods may be called from several
// goroutines.
type Node struct {
	// Machine has the node's accelerators: what changes there changes in the
	// node's /sys.
	Machine *machine.Machine

	site    *Site
	cluster *cluster.Cluster
	runtime Runtime
	index   int
	dir     string
	init    *process.Process
	load    *load

	mu         sync.Mutex
	containerd *process.Process
	kubelet    *process.Process
	proxy      *process.Process
}

// Start adds a node with a container runtime, and returns once it is Ready. Several may
// be started at once.
func (s *Site) Start(ctx context.Context, c *cluster.Cluster, m *machine.Machine, r Runtime) (*Node, error) {
	begin := time.Now()
	n, err := s.prepare(m, c, r)
	if err != nil {
		return nil, err
	}
	for _, step := range []func(context.Context) error{n.StartContainerd, n.StartKubelet, n.startProxy, n.waitReady} {
		if err := step(ctx); err != nil {
			return nil, fmt.Errorf("start node %s: %w", m.Name, err)
		}
	}
	s.sayf("%-24s ready in %.1f s", "node "+m.Name, time.Since(begin).Seconds())
	return n, nil
}

// StartRuntime adds a node that has a container runtime and nothing else, and returns once
// that answers. It joins no control plane.
func (s *Site) StartRuntime(ctx context.Context, m *machine.Machine, r Runtime) (*Node, error) {
	n, err := s.prepare(m, nil, r)
	if err != nil {
		return nil, err
	}
	return n, n.StartContainerd(ctx)
}

// prepare makes the node's namespaces, file systems and network.
func (s *Site) prepare(m *machine.Machine, c *cluster.Cluster, r Runtime) (_ *Node, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := &Node{Machine: m, site: s, cluster: c, runtime: r, index: len(s.nodes), dir: filepath.Join(s.dir, m.Name)}
	for _, dir := range []string{"", "etc", "containerd"} {
		if err := os.Mkdir(filepath.Join(n.dir, dir), 0o755); err != nil {
			return nil, fmt.Errorf("make the directory of node %s: %w", m.Name, err)
		}
	}
	if err := makeGroups(s.janitor, m.Name); err != nil {
		return nil, err
	}
	if err := m.Write(filepath.Join(n.dir, "machine")); err != nil {
		return nil, err
	}
	if n.load, err = newLoad(n.dir, m.Name); err != nil {
		return nil, err
	}
	p := plan.Plan{
		Name: m.Name, Dir: n.dir, Sys: m.Sys(), Proc: n.load.files(),
		// What programs of a node write outside directories they are told of.
		Private: []string{"/var/lib", "/var/log", "/run"},
		Sysctls: map[string]string{"net/ipv4/ip_forward": "1"},
	}
	for _, d := range m.Devices {
		p.Devices = append(p.Devices, strings.TrimPrefix(d.Node, "/dev/"))
	}
	data, err := json.Marshal(p)
	if err != nil {
		return nil, fmt.Errorf("write the plan of node %s: %w", m.Name, err)
	}
	// From here on it is stopped with the site.
	s.nodes = append(s.nodes, n)
	n.init, err = process.Start(process.Spec{
		Name: "node " + m.Name, Path: filepath.Join(s.cfg.Programs, "nodeinit"), Stdin: bytes.NewReader(data),
		Dir: s.dir, Log: s.log(m.Name),
		Namespaces: syscall.CLONE_NEWNS | syscall.CLONE_NEWPID | syscall.CLONE_NEWNET | syscall.CLONE_NEWUTS | syscall.CLONE_NEWIPC,
	})
	if err != nil {
		return nil, err
	}
	if err := n.wait(context.Background(), n.init, func(context.Context) error {
		if !strings.Contains(n.init.Said(), "ready") {
			return errors.New("its file systems are not made yet")
		}
		return nil
	}); err != nil {
		return nil, err
	}
	n.load.run()
	return n, s.hub.join(n.init.PID(), n.index)
}

// Address is the node's own.
func (n *Node) Address() netip.Addr { return nodeAddress(n.index) }

// PID is the host's id of the node's first process.
func (n *Node) PID() int { return n.init.PID() }

// Path is where the host finds a file of the node's.
func (n *Node) Path(path string) string {
	return filepath.Join("/proc", strconv.Itoa(n.PID()), "root", path)
}

// CgroupParent is the control group for what containers run outside a kubelet's pods.
func (n *Node) CgroupParent() string { return groupName(n.Machine.Name) }

// Kubelet, Containerd are the latest of these processes, to kill or look at.
func (n *Node) Kubelet() *process.Process { return n.locked(&n.kubelet) }

// Containerd is as Kubelet.
func (n *Node) Containerd() *process.Process { return n.locked(&n.containerd) }

func (n *Node) locked(p **process.Process) *process.Process {
	n.mu.Lock()
	defer n.mu.Unlock()
	return *p
}

// Command is a program to be run inside the node, by the paths that are there.
func (n *Node) Command(ctx context.Context, args ...string) *exec.Cmd {
	enter := n.enter(args)
	cmd := exec.CommandContext(ctx, enter[0], enter[1:]...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	// nsenter's child is what is to end, and is in its group.
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	return cmd
}

// Kill ends, as a crash would, the one process of the node that runs a program, by the
// path that it has there.
func (n *Node) Kill(ctx context.Context, program string) error {
	// As the node sees them, with the ids that they have there.
	procs, err := filepath.Glob(fmt.Sprintf("/proc/%d/root/proc/[0-9]*", n.PID()))
	if err != nil {
		return err
	}
	killed := 0
	for _, dir := range procs {
		command, err := os.ReadFile(filepath.Join(dir, "cmdline"))
		if err != nil || strings.SplitN(string(command), "\x00", 2)[0] != program {
			continue // it has ended, or is another's
		}
		if out, err := n.Command(ctx, "kill", "-KILL", filepath.Base(dir)).CombinedOutput(); err != nil {
			return fmt.Errorf("kill %s: %w: %s", program, err, out)
		}
		killed++
	}
	if killed != 1 {
		return fmt.Errorf("there were %d processes of %s, want 1", killed, program)
	}
	return nil
}

// Run starts a program inside the node that runs until it is stopped, or the
// node is. It is nobody's but the caller's: a process outside Kubernetes.
func (n *Node) Run(name string, args ...string) (*process.Process, error) {
	return n.run(name, nil, args)
}

func (n *Node) run(name string, env, args []string) (*process.Process, error) {
	enter := n.enter(args)
	return process.Start(process.Spec{
		Name: name, Path: enter[0], Args: enter[1:], Dir: n.dir, Log: n.site.log(n.Machine.Name + "-" + name),
		// The user's own configuration is none of the node's.
		Env: append([]string{"HOME=/root", "CONTAINERD_NAMESPACE=k8s.io"}, env...),
	})
}

func (n *Node) enter(args []string) []string {
	return append([]string{"nsenter", "--target=" + strconv.Itoa(n.PID()), "--mount", "--pid", "--net", "--uts", "--ipc", "--"}, args...)
}

// Import gives the node an image, from an archive of the host's.
func (n *Node) Import(ctx context.Context, archive string) error {
	args := []string{n.runtime.program("ctr"), "--address=" + n.Socket(), "--namespace=k8s.io", "images", "import"}
	if n.runtime.CDI() { // the service of containerd 2 unpacks in another way
		args = append(args, "--local")
	}
	out, err := n.Command(ctx, append(args, archive)...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("give node %s the image %s: %w: %s", n.Machine.Name, archive, err, bytes.TrimSpace(out))
	}
	return nil
}

func (n *Node) waitReady(ctx context.Context) error {
	return n.wait(ctx, n.Kubelet(), func(ctx context.Context) error {
		node, err := n.cluster.Client().CoreV1().Nodes().Get(ctx, n.Machine.Name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		for _, c := range node.Status.Conditions {
			if c.Type == corev1.NodeReady && c.Status == corev1.ConditionTrue {
				return nil
			}
		}
		return errors.New("it is not Ready")
	})
}

// wait polls until ready returns nil, p ends, or startLimit is over.
func (n *Node) wait(ctx context.Context, p *process.Process, ready func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		err := ready(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-p.Done():
			return p.Died()
		case <-ctx.Done():
			return fmt.Errorf("%s was not ready: %w; the last lines of %s:\n%s", p.Name(), err, p.Log(), process.Tail(p.Said(), 12))
		case <-tick.C:
		}
	}
}

// stop ends the node with all its processes.
func (n *Node) stop() {
	if n.load != nil {
		n.load.stop()
	}
	if n.init != nil {
		n.init.Kill()
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, p := range []*process.Process{n.proxy, n.kubelet, n.containerd} {
		if p != nil {
			p.Kill()
		}
	}
}
