package realnodes

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"heteroaccel.io/e2e/poll"
)

// readyLimit is how long a part may take to be ready on a busy computer.
const readyLimit = "180s"

// Resources are what the nodes' device plugins serve.
var Resources = map[string]corev1.ResourceName{
	"g": "gpu.intel.com/i915", "f": "fpga.intel.com/arria10.dcp1.2-nlb0", "n": "npu.intel.com/accel",
}

// Install applies the manifests of CoreDNS and, unless a DRA driver has the devices, of the
// device plugin. It waits for neither.
func (c *Cluster) Install(ctx context.Context) error {
	files := []string{"dns/coredns.yaml"}
	if !c.dra {
		files = append(files, "deviceplugin/daemonset.yaml")
	}
	for _, file := range files {
		if err := c.Run(ctx, "apply", "--server-side", "-f", filepath.Join(c.Root, "e2e", file)); err != nil {
			return err
		}
	}
	return nil
}

// Ready waits until they are ready, and the kubelets offer what the device plugin has.
func (c *Cluster) Ready(ctx context.Context) error {
	if err := c.Rollout(ctx, "kube-system", "deployment/coredns"); err != nil || c.dra {
		return err
	}
	if err := c.Rollout(ctx, "kube-system", "daemonset/accelerator-device-plugin"); err != nil {
		return err
	}
	for node, name := range Resources {
		if err := c.WaitAllocatable(ctx, node, name, 1); err != nil {
			return err
		}
	}
	return nil
}

// Run runs kubectl.
func (c *Cluster) Run(ctx context.Context, args ...string) error {
	_, err := c.Kubectl(ctx, args...)
	return err // it quotes what kubectl said
}

// Rollout waits until workloads of a namespace, KIND/NAME, are ready.
func (c *Cluster) Rollout(ctx context.Context, namespace string, names ...string) error {
	for _, name := range names {
		if err := c.Run(ctx, "-n", namespace, "rollout", "status", "--timeout="+readyLimit, name); err != nil {
			return err
		}
	}
	return nil
}

// WaitAllocatable waits until a node's kubelet offers so many of a resource.
func (c *Cluster) WaitAllocatable(ctx context.Context, node string, name corev1.ResourceName, want int64) error {
	return c.Wait(ctx, func(ctx context.Context) error {
		n, err := c.Client().CoreV1().Nodes().Get(ctx, node, metav1.GetOptions{})
		if err != nil {
			return err
		}
		if got := n.Status.Allocatable[name]; got.Cmp(*resource.NewQuantity(want, resource.DecimalSI)) != 0 {
			return fmt.Errorf("node %s offers %s of %s, want %d", node, got.String(), name, want)
		}
		return nil
	})
}

// Wait calls try until it succeeds; when ctx or three minutes end first it
// returns its last error.
func (c *Cluster) Wait(ctx context.Context, try func(context.Context) error) error {
	ctx, cancel := context.WithTimeoutCause(ctx, 3*time.Minute, errors.New("not within three minutes"))
	defer cancel()
	return poll.Until(ctx, try)
}
