package certmanager

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"heteroaccel.io/e2e/cluster"
)

// Install installs cert-manager's CRDs.
func Install(ctx context.Context, c *cluster.Cluster) error {
	dir, err := install(ctx)
	if err != nil {
		return err
	}
	files, err := filepath.Glob(filepath.Join(dir, "crds", "*.yaml"))
	if err != nil || len(files) == 0 {
		return errors.Join(fmt.Errorf("there are no CRDs of cert-manager in %s: delete it, and try again", dir), err)
	}
	args := []string{"apply", "--server-side"}
	for _, f := range files {
		args = append(args, "-f", f)
	}
	if _, err := c.Kubectl(ctx, args...); err != nil {
		return fmt.Errorf("install cert-manager's CRDs: %w", err)
	}
	if err := c.Established(ctx, "--all"); err != nil {
		return fmt.Errorf("install cert-manager's CRDs: %w", err)
	}
	return nil
}

// Run starts the controllers, with an administrator's rights. They run until Stop, or end
// with the cluster.
func Run(ctx context.Context, c *cluster.Cluster) error {
	dir, err := install(ctx)
	if err != nil {
		return err
	}
	for _, p := range programs {
		if _, err := c.StartProcess(process(p), filepath.Join(dir, p), []string{"--kubeconfig", c.Kubeconfig(), "-v=2"}, nil); err != nil {
			return err
		}
	}
	return nil
}

// Stop ends them, as an outage of cert-manager does.
func Stop(c *cluster.Cluster) {
	for _, p := range programs {
		c.Process(process(p)).Stop()
	}
}

// Log is the file with what the controllers of issuers and certificates say.
func Log(c *cluster.Cluster) string { return c.Process(process(programs[0])).Log() }

func process(program string) string { return "cert-manager " + program }
