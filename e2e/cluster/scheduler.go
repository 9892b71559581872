package cluster

import (
	"context"
	"fmt"
	"os"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	componentbase "k8s.io/component-base/config/v1alpha1"
	schedulerv1 "k8s.io/kube-scheduler/config/v1"
	"sigs.k8s.io/yaml"
)

// startScheduler writes the scheduler's configuration and starts it.
func (c *Cluster) startScheduler(ctx context.Context, extenders []schedulerv1.Extender) error {
	c.extenders = extenders
	kubeconfig, err := c.KubeconfigFor("system:kube-scheduler")
	if err != nil {
		return err
	}
	data, err := schedulerConfig(kubeconfig, extenders)
	if err != nil {
		return err
	}
	config := c.path("etc", "scheduler.yaml")
	if err := os.WriteFile(config, data, 0o600); err != nil {
		return fmt.Errorf("write the scheduler's configuration: %w", err)
	}
	return c.StartAnotherScheduler(ctx, "kube-scheduler", config)
}

// StartAnotherScheduler starts a kube-scheduler as a process of its own name, with a file
// of its configuration, as it is.
func (c *Cluster) StartAnotherScheduler(ctx context.Context, name, config string) error {
	_, err := c.serve(ctx, service{
		name: name, path: c.bin.Scheduler, ports: 1, health: "/readyz",
		args: func(ports []int) []string {
			return []string{
				"--config=" + config,
				fmt.Sprintf("--secure-port=%d", ports[0]), "--bind-address=" + c.at.Address,
				// It could ask the API server who may read its metrics, with further files.
				"--authorization-always-allow-paths=/healthz,/readyz,/livez,/metrics",
				"--tls-cert-file=" + c.path("pki", "server.crt"), "--tls-private-key-file=" + c.path("pki", "server.key"),
			}
		},
	})
	return err
}

// RestartScheduler stops the scheduler and starts it with other extenders.
func (c *Cluster) RestartScheduler(ctx context.Context, extenders []schedulerv1.Extender) error {
	c.StopScheduler()
	return c.startScheduler(ctx, extenders)
}

// RestartSchedulerWith stops the scheduler and starts it with a file of its
// configuration, as it is.
func (c *Cluster) RestartSchedulerWith(ctx context.Context, config string) error {
	c.StopScheduler()
	return c.StartAnotherScheduler(ctx, "kube-scheduler", config)
}

// StopScheduler stops the scheduler, if it runs. RestartScheduler starts it again.
func (c *Cluster) StopScheduler() {
	if p := c.Process("kube-scheduler"); p != nil {
		p.Stop()
	}
}

// schedulerConfig is the scheduler's own default but for the extenders, leader
// election, which one scheduler needs not, and the rate limit of its client.
func schedulerConfig(kubeconfig string, extenders []schedulerv1.Extender) ([]byte, error) {
	alone := false
	config := schedulerv1.KubeSchedulerConfiguration{
		TypeMeta:         metav1.TypeMeta{APIVersion: schedulerv1.SchemeGroupVersion.String(), Kind: "KubeSchedulerConfiguration"},
		LeaderElection:   componentbase.LeaderElectionConfiguration{LeaderElect: &alone},
		ClientConnection: componentbase.ClientConnectionConfiguration{Kubeconfig: kubeconfig, QPS: 5000, Burst: 10000},
		Extenders:        extenders,
	}
	data, err := yaml.Marshal(config)
	if err != nil {
		return nil, fmt.Errorf("encode the scheduler's configuration: %w", err)
	}
	return data, nil
}
