package stack

import (
	"context"
	"fmt"
	"path/filepath"
)

// installDriver applies what exporters need of deploy/device-driver. Its policy goes by
// tokens of pods, which they have not.
func (s *Stack) installDriver(ctx context.Context) error {
	for _, file := range []string{"rbac.yaml", "classes.yaml"} {
		if said, err := s.Kubectl(ctx, "apply", "--server-side", "-f", filepath.Join(s.root, "deploy", "device-driver", file)); err != nil {
			return fmt.Errorf("install the DRA driver: %w: %s", err, said)
		}
	}
	return nil
}

// driver are the flags with which a node's exporter is its DRA driver, if it is. No
// container runtime reads the files, and no kubelet asks for any.
func (s *Stack) driver(node string) ([]string, error) {
	if !s.cfg.Drive {
		return nil, nil
	}
	kubeconfig, err := s.KubeconfigFor("system:serviceaccount:"+ExporterNamespace+":heteroaccel-exporter", "system:authenticated")
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(s.Dir(), "dra", node)
	return []string{
		"--drive=cpu,gpu,npu,fpga", "--drive-refresh=1s", "--runtime-has-cdi", "--kubeconfig", kubeconfig,
		"--plugin-registry-dir", filepath.Join(dir, "registry"), "--plugin-data-dir", filepath.Join(dir, "data"), "--cdi-dir", filepath.Join(dir, "cdi"),
	}, nil
}
