package stack

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	sigsyaml "sigs.k8s.io/yaml"
)

// InstallWorkloads applies the Deployments, the DaemonSet and the Services of the
// manifests too. Their pods are played by the nodes, and run nothing: the programs are
// the processes. It returns what removes them.
func (s *Stack) InstallWorkloads(ctx context.Context) (remove func(context.Context) error, err error) {
	rendered, err := s.Kubectl(ctx, "kustomize", filepath.Join(s.root, s.overlay()))
	if err != nil {
		return nil, fmt.Errorf("render %s: %w", s.overlay(), err)
	}
	objects, err := decode([]byte(rendered))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", s.overlay(), err)
	}
	var workloads bytes.Buffer
	for _, o := range objects {
		if !slices.Contains([]string{"Deployment", "DaemonSet", "Service"}, o.GetKind()) {
			continue
		}
		doc, err := sigsyaml.Marshal(o)
		if err != nil {
			return nil, fmt.Errorf("write %s %s: %w", o.GetKind(), o.GetName(), err)
		}
		workloads.WriteString("---\n")
		workloads.Write(doc)
	}
	file := filepath.Join(s.Dir(), "etc", "workloads.yaml")
	if err := os.WriteFile(file, workloads.Bytes(), 0o644); err != nil {
		return nil, fmt.Errorf("write the workloads: %w", err)
	}
	if _, err := s.Kubectl(ctx, "apply", "--server-side", "-f", file); err != nil {
		return nil, fmt.Errorf("apply the workloads: %w", err)
	}
	return func(ctx context.Context) error {
		_, err := s.Kubectl(ctx, "delete", "--wait=false", "--ignore-not-found", "-f", file)
		return err
	}, nil
}
