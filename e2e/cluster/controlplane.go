package cluster

import (
	"context"
	"fmt"
	"slices"
)

func (c *Cluster) startEtcd(ctx context.Context) error {
	ports, err := c.serve(ctx, service{
		name: "etcd", path: c.bin.Etcd, ports: 2, health: "/health",
		args: func(ports []int) []string {
			client, peer := c.at.url(ports[0]), c.at.url(ports[1])
			return []string{
				"--name=local", "--data-dir=" + c.path("etcd"),
				"--listen-client-urls=" + client, "--advertise-client-urls=" + client,
				"--listen-peer-urls=" + peer, "--initial-advertise-peer-urls=" + peer,
				"--initial-cluster=local=" + peer,
				"--cert-file=" + c.path("pki", "server.crt"), "--key-file=" + c.path("pki", "server.key"),
				"--trusted-ca-file=" + c.path("pki", "ca.crt"), "--client-cert-auth",
				"--peer-cert-file=" + c.path("pki", "server.crt"), "--peer-key-file=" + c.path("pki", "server.key"),
				"--peer-trusted-ca-file=" + c.path("pki", "ca.crt"), "--peer-client-cert-auth",
				// The data live as long as the process does.
				"--unsafe-no-fsync", "--log-level=warn",
			}
		},
	})
	if err != nil {
		return err
	}
	c.etcdURL = c.at.url(ports[0])
	return nil
}

// startAPIServer starts it, at the port that it must have, if any is given.
func (c *Cluster) startAPIServer(ctx context.Context, further []string, at ...int) error {
	// Whom the kubelets let read logs.
	if err := c.ca.WriteClient(c.path("pki", kubeletClient), "kube-apiserver", adminGroup); err != nil {
		return err
	}
	ports, err := c.serve(ctx, service{
		name: "kube-apiserver", path: c.bin.APIServer, ports: 1, at: at, health: "/readyz",
		args: func(ports []int) []string {
			return append([]string{
				fmt.Sprintf("--secure-port=%d", ports[0]), "--bind-address=" + c.at.Address, "--advertise-address=" + c.at.Address,
				"--tls-cert-file=" + c.path("pki", "server.crt"), "--tls-private-key-file=" + c.path("pki", "server.key"),
				"--client-ca-file=" + c.path("pki", "ca.crt"),
				"--etcd-servers=" + c.etcdURL, "--etcd-cafile=" + c.path("pki", "ca.crt"),
				"--etcd-certfile=" + c.path("pki", "server.crt"), "--etcd-keyfile=" + c.path("pki", "server.key"),
				"--service-account-key-file=" + c.path("pki", "tokens.pub"),
				"--service-account-signing-key-file=" + c.path("pki", "tokens.key"),
				"--service-account-issuer=https://kubernetes.default.svc",
				"--authorization-mode=Node,RBAC", "--allow-privileged",
				"--service-cluster-ip-range=" + c.at.Services,
				"--profiling=false",
			}, slices.Concat(c.at.apiServerFlags(c.path("pki")), further)...)
		},
	})
	if err != nil {
		return err
	}
	if len(at) > 0 {
		return nil // everybody knows it
	}
	c.server, c.serverPort, c.serverFlags = c.at.url(ports[0]), ports[0], further
	return c.connect()
}

func (c *Cluster) startControllerManager(ctx context.Context) error {
	kubeconfig, err := c.KubeconfigFor("system:kube-controller-manager")
	if err != nil {
		return err
	}
	_, err = c.serve(ctx, service{
		name: "kube-controller-manager", path: c.bin.ControllerManager, ports: 1, health: "/healthz",
		args: func(ports []int) []string {
			return []string{
				"--kubeconfig=" + kubeconfig, "--leader-elect=false",
				fmt.Sprintf("--secure-port=%d", ports[0]), "--bind-address=" + c.at.Address,
				"--tls-cert-file=" + c.path("pki", "server.crt"), "--tls-private-key-file=" + c.path("pki", "server.key"),
				"--use-service-account-credentials",
				"--service-account-private-key-file=" + c.path("pki", "tokens.key"),
				"--root-ca-file=" + c.path("pki", "ca.crt"),
				// Enough for hundreds of pods a second.
				"--kube-api-qps=1000", "--kube-api-burst=2000",
				"--profiling=false",
			}
		},
	})
	return err
}
