package cluster

import (
	"context"
	_ "embed"
	"fmt"
	"os"

	"heteroaccel.io/e2e/machine"
)

// DurationAnnotation, on a pod, says how long its containers run: "5s", from
// when they started. Then the pod succeeds, unless its restartPolicy is
// Always. Without it a pod runs until it is deleted, a Job's too. It may be
// added to a pod that runs. With "-GPU" behind it, it holds for a pod that was
// given that kind, and overrides the one without.
const DurationAnnotation = "e2e.heteroaccel.io/duration"

//go:embed stages.yaml
var stages []byte

func (c *Cluster) startKwok(ctx context.Context) error {
	kubeconfig, err := c.KubeconfigFor("kwok", adminGroup)
	if err != nil {
		return err
	}
	config := c.path("etc", "kwok.yaml")
	if err := os.WriteFile(config, stages, 0o600); err != nil {
		return fmt.Errorf("write kwok's configuration: %w", err)
	}
	_, err = c.serve(ctx, service{
		name: "kwok", path: c.bin.Kwok, ports: 1, health: "/healthz", plain: true,
		// It would merge the user's own configuration with ours.
		env: []string{"HOME=" + c.dir, "KWOK_WORKDIR=" + c.path("kwok")},
		args: func(ports []int) []string {
			return []string{
				"--kubeconfig=" + kubeconfig, "--config=" + config,
				"--manage-all-nodes=false", "--manage-nodes-with-annotation-selector=" + machine.KwokAnnotation + "=fake",
				// Leases are the heartbeat of its nodes.
				"--node-lease-duration-seconds=40",
				"--node-ip=127.0.0.1", "--cidr=10.244.0.1/16",
				fmt.Sprintf("--server-address=127.0.0.1:%d", ports[0]),
			}
		},
	})
	return err
}
