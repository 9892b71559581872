package cluster

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// Kubectl runs kubectl as the administrator and returns what it printed,
// output and errors together. err says that it failed, and repeats what it
// said.
func (c *Cluster) Kubectl(ctx context.Context, args ...string) (string, error) {
	return c.KubectlInput(ctx, "", args...)
}

// KubectlInput is Kubectl with a standard input: a manifest for "create -f -".
func (c *Cluster) KubectlInput(ctx context.Context, input string, args ...string) (string, error) {
	var output strings.Builder
	cmd := exec.CommandContext(ctx, c.bin.Kubectl, args...)
	cmd.Env = append(os.Environ(), "KUBECONFIG="+c.Kubeconfig(), "KUBECACHEDIR="+c.path("kubectl"), "HOME="+c.dir)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(input), &output, &output
	if err := run(cmd); err != nil {
		return output.String(), fmt.Errorf("kubectl %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(output.String()))
	}
	return output.String(), nil
}

// KubectlPath is the path of kubectl, for commands that people are shown.
func (c *Cluster) KubectlPath() string { return c.bin.Kubectl }

// Established waits until the API server serves kinds that were just installed, by the names
// of their CRDs, or by "--all".
//
// A CRD has conditions: null for a moment, which "wait --for=condition" takes for an error
// instead of for a condition that is not there yet (kubernetes/kubernetes#66439).
func (c *Cluster) Established(ctx context.Context, crds ...string) error {
	for _, what := range []string{"jsonpath={.status.conditions[0]}", "condition=Established"} {
		args := []string{"wait", "crd", "--for=" + what, "--timeout=180s"}
		if _, err := c.Kubectl(ctx, append(args, crds...)...); err != nil {
			return err
		}
	}
	return nil
}
