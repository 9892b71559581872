package cluster

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	schedulerv1 "k8s.io/kube-scheduler/config/v1"

	"heteroaccel.io/e2e/authority"
	"heteroaccel.io/e2e/machine"
	"heteroaccel.io/e2e/nodepods"
	"heteroaccel.io/e2e/process"
)

// Config says what to start.
type Config struct {
	// Binaries are the programs; the zero value has Build make them.
	Binaries Binaries
	// Out is where each step is reported; nil for nowhere.
	Out io.Writer
	// At is where the control plane listens; the zero value is the loopback
	// interface, with kwok to play the kubelets. Anywhere else the nodes are
	// the caller's own to start.
	At Place
	// Machines become the first nodes.
	Machines []*machine.Machine
	// Extenders go into the scheduler's configuration.
	Extenders []schedulerv1.Extender
	// APIServer are further flags of the API server.
	APIServer []string
	// Keep leaves the work directory, with the logs, after Stop.
	Keep bool
}

// Cluster is a running cluster. Its methods may be called from several
// goroutines, but for Stop, which is the last one to be called.
type Cluster struct {
	dir    string
	keep   bool
	out    io.Writer
	bin    Binaries
	at     Place
	ca     *authority.Authority
	lock   *os.File // held while the cluster lives: see sweep
	server string   // URL of the API server
	// What it is started with.
	serverPort  int
	serverFlags []string
	extenders   []schedulerv1.Extender

	etcdURL string
	rest    *rest.Config
	client  kubernetes.Interface
	pods    *nodepods.Pods

	ctx    context.Context // of all goroutines; ends with Stop
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu        sync.Mutex
	processes []*Process // in the order they were started
	nodes     map[string]*Node
	urls      map[string]string // of the control plane's programs, without a path
	stopped   bool
}

// adminGroup may do everything, by Kubernetes' own bootstrap.
const adminGroup = "system:masters"

// Start brings a cluster up and returns when pods can be created in it and
// all machines are Ready. When it fails, or ctx ends, nothing is left running.
// Once it returned, ctx does not matter any more.
func Start(ctx context.Context, cfg Config) (_ *Cluster, err error) {
	if cfg.Binaries == (Binaries{}) {
		if cfg.Binaries, err = Build(ctx, BuildOptions{Out: cfg.Out}); err != nil {
			return nil, err
		}
	}
	c, err := newCluster(cfg)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			c.Stop()
		}
	}()
	if err := c.start(ctx, cfg); err != nil {
		// Whoever interrupted wants no essay on what was not ready.
		if ctx.Err() != nil {
			return nil, fmt.Errorf("starting the cluster was interrupted: %w", context.Cause(ctx))
		}
		return nil, err
	}
	return c, nil
}

// lifetime of every certificate: longer than a demonstration is left open.
const lifetime = 30 * 24 * time.Hour

// newCluster makes the work directory with everything but processes.
func newCluster(cfg Config) (*Cluster, error) {
	out := cfg.Out
	if out == nil {
		out = io.Discard
	}
	ca, err := authority.New(lifetime)
	if err != nil {
		return nil, err
	}
	sweep(os.TempDir())
	dir, lock, err := workDir(os.TempDir())
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	c := &Cluster{
		dir: dir, lock: lock, keep: cfg.Keep, out: &lockedWriter{w: out}, bin: cfg.Binaries, at: cfg.At.orLoopback(), ca: ca,
		ctx: ctx, cancel: cancel, nodes: map[string]*Node{}, urls: map[string]string{},
	}
	for _, name := range []string{"logs", "pki", "etc", "nodes"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o755); err != nil {
			c.Stop()
			return nil, fmt.Errorf("make the cluster's directory: %w", err)
		}
	}
	if err := ca.Write(c.path("pki"), c.at.hosts()...); err != nil {
		c.Stop()
		return nil, err
	}
	return c, nil
}

// start runs everything, each as soon as what it needs is ready.
func (c *Cluster) start(ctx context.Context, cfg Config) error {
	begin := time.Now()
	if err := c.startEtcd(ctx); err != nil {
		return err
	}
	if err := c.startAPIServer(ctx, cfg.APIServer); err != nil {
		return err
	}
	group, gctx := errgroup.WithContext(ctx)
	group.Go(func() error { return c.startControllerManager(gctx) })
	group.Go(func() error { return c.startScheduler(gctx, cfg.Extenders) })
	if c.at.loopback() {
		group.Go(func() error { return c.startKwok(gctx) })
		group.Go(func() error { return c.watchPods(gctx) })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	if err := c.waitServiceAccount(ctx); err != nil {
		return err
	}
	if err := c.AddNodes(ctx, cfg.Machines...); err != nil {
		return err
	}
	c.sayf("cluster ready in %.1f s", time.Since(begin).Seconds())
	return nil
}

// watchPods starts the informer that all PodResources servers share.
func (c *Cluster) watchPods(ctx context.Context) error {
	c.pods = nodepods.New(c.client)
	c.wg.Go(func() { c.pods.Run(c.ctx) })
	return c.pods.Wait(ctx)
}

// waitServiceAccount waits until pods are admitted to the default namespace,
// which the controller-manager makes ready.
func (c *Cluster) waitServiceAccount(ctx context.Context) error {
	return c.wait(ctx, "the default service account", nil, func(ctx context.Context) error {
		_, err := c.client.CoreV1().ServiceAccounts(metav1.NamespaceDefault).Get(ctx, "default", metav1.GetOptions{})
		return err
	})
}

// Stop ends every process in the reverse order of their start and removes the
// work directory. A second call does nothing.
func (c *Cluster) Stop() {
	c.mu.Lock()
	if c.stopped {
		c.mu.Unlock()
		return
	}
	c.stopped = true
	processes, nodes := c.processes, c.nodes
	c.mu.Unlock()
	for i := len(processes) - 1; i >= 0; i-- {
		if processes[i].Name() == "kube-apiserver" {
			// Our own watches would hold it up.
			c.cancel()
			c.wg.Wait()
		}
		processes[i].StopWithin(stopGrace(processes[i].Name()))
	}
	c.cancel()
	for _, n := range nodes {
		n.Kubelet.Stop()
	}
	c.wg.Wait()
	if c.keep {
		// Without the lock file no later start takes it for abandoned.
		if err := os.Remove(c.path("lock")); err != nil {
			c.sayf("the cluster's directory may be removed by the next one's start: %v", err)
		}
		c.sayf("the cluster's directory stays: %s", c.dir)
	} else if err := os.RemoveAll(c.dir); err != nil {
		c.sayf("remove the cluster's directory yourself: %v", err)
	}
	c.lock.Close()
}

// stopGrace is short for what is thrown away anyhow: the API server would
// otherwise wait for every watch to end.
func stopGrace(name string) time.Duration {
	switch name {
	case "kube-apiserver", "etcd":
		return 2 * time.Second
	}
	return process.Grace
}

// Dir is the work directory; logs are in its logs.
func (c *Cluster) Dir() string { return c.dir }

// REST is a configuration of the administrator's, without a client-side rate
// limit. The caller may change the copy it gets.
func (c *Cluster) REST() *rest.Config { return rest.CopyConfig(c.rest) }

// Client is the administrator's.
func (c *Cluster) Client() kubernetes.Interface { return c.client }

// Server is the URL of the API server.
func (c *Cluster) Server() string { return c.server }

// Kubeconfig is the path of the administrator's.
func (c *Cluster) Kubeconfig() string { return c.path("admin.kubeconfig") }

// connect makes the administrator's kubeconfig and clients.
func (c *Cluster) connect() error {
	if err := c.ca.Kubeconfig(c.Kubeconfig(), c.server, "admin", []string{adminGroup}); err != nil {
		return err
	}
	config, err := clientcmd.BuildConfigFromFlags("", c.Kubeconfig())
	if err != nil {
		return fmt.Errorf("read the kubeconfig of admin: %w", err)
	}
	config.QPS = -1
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("make a client for the cluster: %w", err)
	}
	c.rest, c.client = config, client
	return nil
}

// path joins names to the work directory.
func (c *Cluster) path(names ...string) string {
	return filepath.Join(append([]string{c.dir}, names...)...)
}

func (c *Cluster) sayf(format string, args ...any) { fmt.Fprintf(c.out, format+"\n", args...) }
