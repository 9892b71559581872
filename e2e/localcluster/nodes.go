package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"heteroaccel.io/e2e/machine"
	"heteroaccel.io/e2e/machine/kubelet"
	"heteroaccel.io/e2e/nodepods"
	"heteroaccel.io/pkg/serve"
)

func nodesCommand() *cobra.Command {
	var kubeconfig, dir, address string
	cmd := &cobra.Command{
		Use: "nodes", Short: "Be the machines of the simulated nodes, until told to end", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
			if err != nil {
				return fmt.Errorf("--kubeconfig: %w", err)
			}
			client, err := kubernetes.NewForConfig(config)
			if err != nil {
				return fmt.Errorf("make a client: %w", err)
			}
			log := zerolog.New(cmd.ErrOrStderr()).With().Timestamp().Str("program", "nodes").Logger()
			return run(cmd.Context(), client, machine.Paper(), dir, address, log)
		},
	}
	cmd.Flags().StringVar(&kubeconfig, "kubeconfig", "/pki/nodes.kubeconfig", "kubeconfig file of who may create Nodes")
	cmd.Flags().StringVar(&dir, "dir", "/nodes", "directory that gets NODE/sys, NODE/proc and NODE/kubelet.sock of each")
	cmd.Flags().StringVar(&address, "health-address", ":8081", "address of /readyz, HTTP: whether all nodes are Ready")
	return cmd
}

// run is the machines: it writes their trees, answers for their kubelets, and creates
// their Nodes unless they are there from an earlier run.
func run(ctx context.Context, client kubernetes.Interface, machines []*machine.Machine, dir, address string, log zerolog.Logger) error {
	group, ctx := errgroup.WithContext(ctx)
	pods := nodepods.New(client)
	group.Go(func() error {
		pods.Run(ctx)
		return nil
	})
	router := serve.Router(log)
	router.Get("/readyz", serve.Probe(func() error { return allReady(ctx, client, machines) }))
	group.Go(func() error { return serve.Run(ctx, address, http.Handler(router), nil, log) })
	if err := pods.Wait(ctx); err != nil {
		return errors.Join(err, group.Wait())
	}
	for _, m := range machines {
		group.Go(func() error { return join(ctx, client, m, filepath.Join(dir, m.Name), pods) })
	}
	return group.Wait()
}

// join is one machine, until ctx ends.
func join(ctx context.Context, client kubernetes.Interface, m *machine.Machine, dir string, pods *nodepods.Pods) error {
	if err := os.RemoveAll(dir); err != nil { // of an earlier run
		return fmt.Errorf("add node %s: %w", m.Name, err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("add node %s: %w", m.Name, err)
	}
	if err := m.Write(dir); err != nil {
		return err
	}
	answers := kubelet.New(filepath.Join(dir, "kubelet.sock"), m, func() []*corev1.Pod { return pods.On(m.Name) }, pods.Claim)
	if err := answers.Start(); err != nil {
		return err
	}
	defer answers.Stop()
	server, err := client.Discovery().ServerVersion()
	if err != nil {
		return fmt.Errorf("ask the API server for its version: %w", err)
	}
	if _, err := client.CoreV1().Nodes().Create(ctx, m.Node(server.GitVersion), metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("add node %s: %w", m.Name, err)
	}
	return m.Run(ctx)
}

// allReady returns nil once every machine's Node is Ready, which kwok makes it.
func allReady(ctx context.Context, client kubernetes.Interface, machines []*machine.Machine) error {
	for _, m := range machines {
		node, err := client.CoreV1().Nodes().Get(ctx, m.Name, metav1.GetOptions{})
		if err != nil {
			return fmt.Errorf("look for node %s: %w", m.Name, err)
		}
		if !ready(node) {
			return fmt.Errorf("node %s is not Ready", m.Name)
		}
	}
	return nil
}

// ready reports whether a node is Ready, and pods are let onto it.
func ready(node *corev1.Node) bool {
	isReady := slices.ContainsFunc(node.Status.Conditions, func(c corev1.NodeCondition) bool {
		return c.Type == corev1.NodeReady && c.Status == corev1.ConditionTrue
	})
	return isReady && !slices.ContainsFunc(node.Spec.Taints, func(t corev1.Taint) bool { return t.Key == corev1.TaintNodeNotReady })
}
