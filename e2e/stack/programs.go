package stack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"time"

	"heteroaccel.io/e2e/cluster"
)

// readyLimit is how long a program may take to be ready on a busy machine.
const readyLimit = 2 * time.Minute

// StartExporter runs the exporter of a node.
func (s *Stack) StartExporter(node string) error {
	if s.exporter[node] == 0 {
		port, err := cluster.FreePort()
		if err != nil {
			return err
		}
		s.exporter[node] = port
	}
	m := s.Machine(node)
	return s.run("exporter-"+node, "exporter",
		"--node", node,
		"--sys", m.Sys(),
		"--proc", m.Proc(),
		"--podresources", s.Node(node).Socket(),
		"--listen", fmt.Sprintf("127.0.0.1:%d", s.exporter[node]))
}

// samples is the --samples flag that names every exporter.
func (s *Stack) samples() (string, error) {
	var urls []string
	for _, m := range s.Machines {
		if s.exporter[m.Name] == 0 {
			port, err := cluster.FreePort()
			if err != nil {
				return "", err
			}
			s.exporter[m.Name] = port
		}
		urls = append(urls, fmt.Sprintf("http://127.0.0.1:%d", s.exporter[m.Name]))
	}
	return "exporters=" + strings.Join(urls, ","), nil
}

// StartExtender runs the extender and waits until it is ready.
func (s *Stack) StartExtender(ctx context.Context) error {
	kubeconfig, err := s.identity("heteroaccel-extender")
	if err != nil {
		return err
	}
	samples, err := s.samples()
	if err != nil {
		return err
	}
	args := append([]string{
		"--kubeconfig", kubeconfig,
		"--listen", fmt.Sprintf("127.0.0.1:%d", s.ports["extender"]),
		"--samples", samples,
		"--sample-interval", "250ms",
	}, s.cfg.Extender...)
	if err := s.run("extender", "extender", args...); err != nil {
		return err
	}
	return s.ready(ctx, "extender", s.URL("extender", "/readyz"))
}

// StartWebhook runs the webhook and waits until it is ready and the API server
// has its CA.
func (s *Stack) StartWebhook(ctx context.Context) error {
	kubeconfig, err := s.identity("heteroaccel-webhook")
	if err != nil {
		return err
	}
	samples, err := s.samples()
	if err != nil {
		return err
	}
	args := append([]string{
		"--kubeconfig", kubeconfig,
		"--namespace", Namespace,
		"--listen", fmt.Sprintf("127.0.0.1:%d", s.ports["webhook"]),
		"--http", fmt.Sprintf("127.0.0.1:%d", s.ports["webhook status"]),
		"--samples", samples,
		"--sample-interval", "250ms",
	}, s.cfg.Webhook...)
	if err := s.run("webhook", "webhook", args...); err != nil {
		return err
	}
	if err := s.ready(ctx, "webhook", s.URL("webhook status", "/readyz")); err != nil {
		return err
	}
	return s.waitRegistered(ctx)
}

// identity is the kubeconfig of a service account of the manifests, so that
// their RBAC is what the programs run under.
func (s *Stack) identity(account string) (string, error) {
	return s.KubeconfigFor("system:serviceaccount:"+Namespace+":"+account,
		"system:serviceaccounts", "system:serviceaccounts:"+Namespace, "system:authenticated")
}

// Process returns a running program: "webhook", "extender", "exporter-NODE".
func (s *Stack) Process(name string) *cluster.Process { return s.running[name] }

func (s *Stack) run(name, program string, args ...string) error {
	p, err := s.StartProcess(name, filepath.Join(s.bin, program), args, nil)
	if err != nil {
		return err
	}
	s.running[name] = p
	return nil
}

// ready waits for a program's /readyz, and gives up when the program ends.
func (s *Stack) ready(ctx context.Context, program, url string) error {
	ctx, cancel := context.WithTimeout(ctx, readyLimit)
	defer cancel()
	p := s.running[program]
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	go func() {
		select {
		case <-p.Done():
			stop(fmt.Errorf("%s ended: see %s", program, p.Log()))
		case <-ctx.Done():
		}
	}()
	err := poll(ctx, func(ctx context.Context) error {
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
