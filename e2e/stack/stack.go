package stack

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"time"

	"heteroaccel.io/e2e/cluster"
	"heteroaccel.io/e2e/machine"
	"heteroaccel.io/pkg/profile"
)

// Config says what to run.
type Config struct {
	// Out is where each step is reported; nil for nowhere.
	Out io.Writer
	// Machines are the nodes; nil for the paper's G, F and N.
	Machines []*machine.Machine
	// Root is the tree whose manifests are applied; "" for this one. Upgrade changes it.
	Root string
	// Programs is the directory of the project's compiled programs; "" to
	// compile them, with the race detector if Race is set.
	Programs string
	Race     bool
	// Webhook, Extender and APIServer are further flags of the programs.
	Webhook, Extender, APIServer []string
	// ExtenderTimeout is how long the scheduler waits for the extender; 0 for what is
	// shipped.
	ExtenderTimeout time.Duration
	// Scrape is how often the webhook, the extender and the connector each scrape
	// every exporter; 0 for half a second.
	Scrape time.Duration
	// CertManager has cert-manager issue the webhook's certificate.
	CertManager bool
	// Late gives the webhook the rights to bind pods late, has the extender watch
	// ResourceClaims, and kube-scheduler not ask it.
	Late bool
	// NoReadmission takes from the webhook, with Late, the rights to recreate pods.
	NoReadmission bool
	// Drive has the exporters serve the devices of machines that no device plugin
	// serves as DRA driver, without a kubelet, and the registry's profiles name them.
	Drive bool
	// Installed uses what this computer has of the control plane: see
	// cluster.BuildOptions.
	Installed bool
	// Keep leaves the work directory, with the logs, after Stop.
	Keep bool
}

// Stack is a running installation.
type Stack struct {
	*cluster.Cluster
	Machines []*machine.Machine
	Profiles *profile.Client

	cfg     Config
	bin     string
	root    string
	ports   map[string]int // by what listens there: see URL
	servers map[string]string
	unmount func() // nil where nothing is mounted
	// registered is the replica of the webhook that the API server asks, or its Service.
	registered string
}

// programs are what is compiled from this tree.
var programs = []string{"connector", "exporter", "extender", "webhook"}

// BuildPrograms compiles the project's programs into the checkout they come
// from, and returns the directory. Not into a cache: two checkouts, tested side
// by side, would run each other's programs. Those named in raced have the race
// detector.
func BuildPrograms(ctx context.Context, out io.Writer, raced ...string) (string, error) {
	root, err := cluster.Root()
	if err != nil {
		return "", err
	}
	name := "local"
	if len(raced) > 0 {
		name = "local-race"
	}
	dir := filepath.Join(root, "bin", name)
	for _, race := range []bool{true, false} {
		named := slices.DeleteFunc(slices.Clone(programs), func(p string) bool { return slices.Contains(raced, p) != race })
		if len(named) == 0 {
			continue
		}
		if err := cluster.BuildPrograms(ctx, dir, cluster.ProgramOptions{Race: race, Out: out}, named...); err != nil {
			return "", err
		}
	}
	return dir, nil
}

// Start brings everything up and returns when the webhook and the extender
// are ready. When it fails, or ctx ends, nothing is left running.
func Start(ctx context.Context, cfg Config) (_ *Stack, err error) {
	if cfg.Out == nil {
		cfg.Out = io.Discard
	}
	if cfg.Machines == nil {
		cfg.Machines = machine.Paper()
	}
	if cfg.Scrape == 0 {
		cfg.Scrape = 500 * time.Millisecond
	}
	s := &Stack{cfg: cfg, Machines: cfg.Machines, ports: map[string]int{}, servers: map[string]string{}, root: cfg.Root, registered: "webhook"}
	if s.root == "" {
		if s.root, err = cluster.Root(); err != nil {
			return nil, err
		}
	}
	binaries, err := cluster.Build(ctx, cluster.BuildOptions{Out: cfg.Out, Installed: cfg.Installed})
	if err != nil {
		return nil, err
	}
	if s.bin = cfg.Programs; s.bin == "" {
		var raced []string
		if cfg.Race {
			raced = programs
		}
		if s.bin, err = BuildPrograms(ctx, cfg.Out, raced...); err != nil {
			return nil, err
		}
	}
	for _, name := range []string{"extender", "extender verbs", "extender status", "webhook", "webhook status"} {
		if _, err = s.port(name); err != nil {
			return nil, err
		}
	}
	extender, err := s.Extenders()
	if err != nil {
		return nil, err
	}
	if cfg.Late {
		extender = nil
	}
	s.Cluster, err = cluster.Start(ctx, cluster.Config{
		Binaries: binaries, Out: cfg.Out, Machines: cfg.Machines, Extenders: extender, APIServer: cfg.APIServer, Keep: cfg.Keep,
	})
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			s.Stop()
		}
	}()
	if s.Profiles, err = profile.NewClient(s.REST()); err != nil {
		return nil, err
	}
	if cfg.CertManager {
		if err := s.startCertManager(ctx); err != nil {
			return nil, err
		}
	}
	if err := s.install(ctx); err != nil {
		return nil, err
	}
	if cfg.CertManager {
		if err := s.mount(ctx); err != nil {
			return nil, err
		}
	}
	if cfg.Drive {
		if err := s.installDriver(ctx); err != nil {
			return nil, err
		}
	}
	for _, m := range cfg.Machines {
		if err := s.StartExporter(m.Name); err != nil {
			return nil, err
		}
	}
	if err := s.StartExtender(ctx); err != nil {
		return nil, err
	}
	if err := s.StartWebhook(ctx); err != nil {
		return nil, err
	}
	fmt.Fprintln(cfg.Out, "HeteroAccel is ready")
	return s, nil
}

// Machine returns the machine of a node.
func (s *Stack) Machine(name string) *machine.Machine {
	i := slices.IndexFunc(s.Machines, func(m *machine.Machine) bool { return m.Name == name })
	return s.Machines[i]
}

// URL is where one of the programs answers people: "extender", "exporter-NODE", or
// "webhook status" and "extender status" for probes and metrics. "extender verbs" is
// where the extender answers kube-scheduler.
func (s *Stack) URL(program, path string) string {
	return fmt.Sprintf("http://127.0.0.1:%d%s", s.ports[program], path)
}

// ReviewURL is where a replica of the webhook takes reviews, over HTTPS.
func (s *Stack) ReviewURL(replica, path string) string {
	return fmt.Sprintf("https://localhost:%d%s", s.ports[replica], path)
}
