package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"heteroaccel.io/e2e/machine"
	"heteroaccel.io/e2e/machine/kubelet"
)

// Node is a machine that joined the cluster.
type Node struct {
	// Machine has its trees: Machine.Sys() and Machine.Proc() are what an
	// exporter of this node reads.
	Machine *machine.Machine
	// Kubelet answers PodResources at Socket; it can be stopped and started.
	Kubelet *kubelet.Server

	cancel context.CancelFunc // ends what runs for the machine
}

// Socket is the path of the node's PodResources socket.
func (n *Node) Socket() string { return n.Kubelet.Socket() }

// AddNode writes the machine's trees, starts its PodResources server, makes
// its Node and waits until that is Ready.
func (c *Cluster) AddNode(ctx context.Context, m *machine.Machine) (*Node, error) {
	if c.Node(m.Name) != nil {
		return nil, fmt.Errorf("add node %s: the cluster has a node of that name", m.Name)
	}
	dir := c.path("nodes", m.Name)
	if err := os.RemoveAll(dir); err != nil { // of a node that was removed
		return nil, fmt.Errorf("add node %s: %w", m.Name, err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("add node %s: %w", m.Name, err)
	}
	if err := m.Write(dir); err != nil {
		return nil, err
	}
	n := &Node{Machine: m, Kubelet: kubelet.New(filepath.Join(dir, "kubelet.sock"), m, func() []*corev1.Pod { return c.pods.On(m.Name) }, c.pods.Claim)}
	if err := n.Kubelet.Start(); err != nil {
		return nil, err
	}
	running, cancel := context.WithCancel(c.ctx)
	n.cancel = cancel
	c.mu.Lock()
	c.nodes[m.Name] = n
	c.mu.Unlock()
	c.wg.Go(func() {
		if err := m.Run(running); err != nil {
			c.sayf("%v", err)
		}
	})
	server, err := c.client.Discovery().ServerVersion()
	if err != nil {
		return nil, fmt.Errorf("ask the API server for its version: %w", err)
	}
	if _, err := c.client.CoreV1().Nodes().Create(ctx, m.Node(server.GitVersion), metav1.CreateOptions{}); err != nil {
		return nil, fmt.Errorf("add node %s: %w", m.Name, err)
	}
	return n, c.wait(ctx, "node "+m.Name, nil, func(ctx context.Context) error {
		node, err := c.client.CoreV1().Nodes().Get(ctx, m.Name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		return nodeReady(node)
	})
}

// AddNodes adds several machines at once.
func (c *Cluster) AddNodes(ctx context.Context, machines ...*machine.Machine) error {
	if len(machines) == 0 {
		return nil
	}
	begin := time.Now()
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(16)
	for _, m := range machines {
		group.Go(func() error {
			_, err := c.AddNode(ctx, m)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	c.sayf("%-24s ready in %.1f s", fmt.Sprintf("nodes (%d)", len(machines)), time.Since(begin).Seconds())
	return nil
}

// RemoveNode deletes a node and what was run for it. The pods on it are left
// to Kubernetes' garbage collection.
func (c *Cluster) RemoveNode(ctx context.Context, name string) error {
	c.mu.Lock()
	n := c.nodes[name]
	delete(c.nodes, name)
	c.mu.Unlock()
	if n == nil {
		return fmt.Errorf("the cluster has no node %s", name)
	}
	n.Kubelet.Stop()
	n.cancel()
	if err := c.client.CoreV1().Nodes().Delete(ctx, name, metav1.DeleteOptions{}); gone(err) != nil {
		return fmt.Errorf("remove node %s: %w", name, err)
	}
	return nil
}

// Node returns the node of that name, nil when there is none.
func (c *Cluster) Node(name string) *Node {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.nodes[name]
}

// SyncNode writes into the Node what its machine offers now, as the kubelet
// does some seconds after a device broke or came back. It is a call of its own
// so that a test can also look at the time between.
func (c *Cluster) SyncNode(ctx context.Context, m *machine.Machine) error {
	allocatable, capacity := m.ResourceLists()
	patch, err := json.Marshal(map[string]any{"status": map[string]any{"allocatable": allocatable, "capacity": capacity}})
	if err != nil {
		return fmt.Errorf("encode the status of node %s: %w", m.Name, err)
	}
	if _, err := c.client.CoreV1().Nodes().Patch(ctx, m.Name, types.MergePatchType, patch, metav1.PatchOptions{}, "status"); err != nil {
		return fmt.Errorf("update the status of node %s: %w", m.Name, err)
	}
	return nil
}
