package stack

import (
	"context"
	"fmt"
	"path/filepath"
)

// SessionNamespace is where the connector keeps sessions and servers.
const SessionNamespace = "heteroaccel-sessions"

// InstallConnector applies what the connector needs of the manifests.
func (s *Stack) InstallConnector(ctx context.Context) error {
	for _, file := range []string{"namespace.yaml", "rbac.yaml", "policy.yaml"} {
		if said, err := s.Kubectl(ctx, "apply", "--server-side", "-f", filepath.Join(s.root, "deploy", "connector", file)); err != nil {
			return fmt.Errorf("install the connector: %w: %s", err, said)
		}
	}
	return nil
}

// StartConnector runs a replica of the connector, which knows no client by
// default but anonymous, and waits until it is ready.
func (s *Stack) StartConnector(ctx context.Context, name string, further ...string) error {
	kubeconfig, err := s.identity(name, "heteroaccel-connector")
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
		"--session-namespace", SessionNamespace,
		"--leader-elect-identity", name,
		"--bind-address", fmt.Sprintf("127.0.0.1:%d", port),
		"--health-probe-bind-address", status,
		"--metrics-bind-address", status,
		"--anonymous",
	}, append(telemetry, further...)...)
	if err := s.run(name, "connector", args...); err != nil {
		return err
	}
	return s.ready(ctx, name, s.URL(name+" status", "/readyz"))
}
