package stack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"k8s.io/client-go/rest"

	"heteroaccel.io/e2e/cluster"
	"heteroaccel.io/e2e/poll"
)

// readyLimit is how long a program may take to be ready on a busy machine.
const readyLimit = 2 * time.Minute

// StartExporter runs the exporter of a node, at the address of the one before.
func (s *Stack) StartExporter(node string) error {
	name := "exporter-" + node
	port, err := s.port(name)
	if err != nil {
		return err
	}
	driver, err := s.driver(node)
	if err != nil {
		return err
	}
	m := s.Machine(node)
	return s.run(name, "exporter", append(driver,
		"--node-name", node,
		"--path.sysfs", m.Sys(),
		"--path.procfs", m.Proc(),
		"--podresources-socket", s.Node(node).Socket(),
		"--detect-external-use",
		"--web.listen-address", fmt.Sprintf("127.0.0.1:%d", port))...)
}

// port is where a program of that name listens, also after a restart.
func (s *Stack) port(name string) (int, error) {
	if s.ports[name] == 0 {
		port, err := cluster.FreePort()
		if err != nil {
			return 0, err
		}
		s.ports[name] = port
	}
	return s.ports[name], nil
}

// telemetry are the flags that name every exporter, if there is one, and how
// often it is scraped.
func (s *Stack) telemetry() ([]string, error) {
	var urls []string
	for _, m := range s.Machines {
		port, err := s.port("exporter-" + m.Name)
		if err != nil {
			return nil, err
		}
		urls = append(urls, fmt.Sprintf("http://127.0.0.1:%d", port))
	}
	flags := []string{"--telemetry-interval", s.cfg.Scrape.String()}
	if len(urls) > 0 {
		flags = append(flags, "--exporter-endpoints="+strings.Join(urls, ","))
	}
	return flags, nil
}

// StartExtender runs the extender, with further flags after those of the
// configuration, and waits until it is ready.
func (s *Stack) StartExtender(ctx context.Context, further ...string) error {
	kubeconfig, err := s.identity("extender", "heteroaccel-extender")
	if err != nil {
		return err
	}
	telemetry, err := s.telemetry()
	if err != nil {
		return err
	}
	status := fmt.Sprintf("127.0.0.1:%d", s.ports["extender status"])
	args := append([]string{
		"--kubeconfig", kubeconfig,
		"--bind-address", fmt.Sprintf("127.0.0.1:%d", s.ports["extender verbs"]),
		"--pages-bind-address", fmt.Sprintf("127.0.0.1:%d", s.ports["extender"]),
		"--health-probe-bind-address", status,
		"--metrics-bind-address", status,
		"--webhook-addresses", fmt.Sprintf("127.0.0.1:%d", s.ports["webhook"]),
	}, slices.Concat(telemetry, s.cfg.Extender, further)...)
	if s.cfg.Late {
		args = append(args, "--resource-claims")
	}
	if err := s.run("extender", "extender", args...); err != nil {
		return err
	}
	return s.ready(ctx, "extender", s.URL("extender status", "/readyz"))
}

// StartWebhook runs the webhook and waits until it is ready and the API server
// has its CA.
func (s *Stack) StartWebhook(ctx context.Context) error {
	if err := s.StartReplica("webhook"); err != nil {
		return err
	}
	if err := s.ready(ctx, "webhook", s.URL("webhook status", "/readyz")); err != nil {
		return err
	}
	return s.waitRegistered(ctx)
}

// StartReplica runs a replica of the webhook and does not wait for it. The
// registration stays where it is: see Register and StartService. The replicas' addresses are those of name and of name + " status".
func (s *Stack) StartReplica(name string) error {
	kubeconfig, err := s.identity(name, "heteroaccel-webhook")
	if err != nil {
		return err
	}
	telemetry, err := s.telemetry()
	if err != nil {
		return err
	}
	port, err := s.port(name)
	if err != nil {
		return err
	}
	statusPort, err := s.port(name + " status")
	if err != nil {
		return err
	}
	status := fmt.Sprintf("127.0.0.1:%d", statusPort)
	args := append([]string{
		"--kubeconfig", kubeconfig,
		"--namespace", Namespace,
		"--leader-elect-identity", name,
		"--bind-address", fmt.Sprintf("127.0.0.1:%d", port),
		"--health-probe-bind-address", status,
		"--metrics-bind-address", status,
	}, slices.Concat(telemetry, s.certificate(), s.cfg.Webhook)...)
	return s.run(name, "webhook", args...)
}

// Through has a program, from its next start on, reach the API server at another
// URL, where something stands between the two. It is called before anything else
// happens at the same time.
func (s *Stack) Through(program, server string) { s.servers[program] = server }

// identity is a kubeconfig of a service account of the manifests for a program,
// so that their RBAC is what the programs run under.
func (s *Stack) identity(program, account string) (string, error) {
	user, groups := serviceAccount(account)
	if server := s.servers[program]; server != "" {
		return s.KubeconfigAt(program, server, user, groups...)
	}
	return s.KubeconfigFor(user, groups...)
}

// RESTAs is a configuration with the rights of a service account of the manifests,
// for tests that run a part of a program, or try what its account may do. It has no
// client-side rate limit.
func (s *Stack) RESTAs(account string) *rest.Config {
	config := s.REST()
	config.Impersonate.UserName, config.Impersonate.Groups = serviceAccount(account)
	return config
}

// serviceAccount is who a service account of ours is for the API server.
func serviceAccount(name string) (user string, groups []string) {
	return "system:serviceaccount:" + Namespace + ":" + name,
		[]string{"system:serviceaccounts", "system:serviceaccounts:" + Namespace, "system:authenticated"}
}

// run starts a program. Process knows it by its name: "webhook" or another
// replica's, "extender", "exporter-NODE".
func (s *Stack) run(name, program string, args ...string) error {
	_, err := s.StartProcess(name, filepath.Join(s.bin, program), args, nil)
	return err
}

// ready waits for a program's /readyz, and gives up when the program ends.
func (s *Stack) ready(ctx context.Context, program, url string) error {
	ctx, cancel := context.WithTimeout(ctx, readyLimit)
	defer cancel()
	p := s.Process(program)
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	go func() {
		select {
		case <-p.Done():
			stop(fmt.Errorf("%s ended: see %s", program, p.Log()))
		case <-ctx.Done():
		}
	}()
	err := poll.Until(ctx, func(ctx context.Context) error {
		_, err := Get(ctx, url)
		return err
	})
	if err != nil {
		return fmt.Errorf("wait for the %s: %w", program, err)
	}
	return nil
}

// Get reads a URL; an answer other than 200 is an error that quotes it.
func Get(ctx context.Context, url string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return "", fmt.Errorf("read %s: %w", url, err)
	}
	if resp.StatusCode != http.StatusOK {
		return string(body), errors.New(strings.TrimSpace(string(body)))
	}
	return string(body), nil
}
