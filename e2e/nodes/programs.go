package nodes

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"text/template"
	"time"

	_ "embed"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	kubeletv1 "k8s.io/kubelet/config/v1beta1"
	"sigs.k8s.io/yaml"

	"heteroaccel.io/e2e/cluster"
)

//go:embed containerd.toml
var containerdConfig string

//go:embed cni.json
var cniConfig string

// Socket is the path of containerd's socket in the node.
func (n *Node) Socket() string { return "/run/containerd/containerd.sock" }

// StartContainerd runs the node's container runtime and waits for it.
func (n *Node) StartContainerd(ctx context.Context) error {
	values := map[string]any{"CDI": n.runtime.CDI(), "Dir": n.dir, "Socket": n.Socket(), "Pause": n.site.cfg.Pause, "Pods": podsOf(n.index).String()}
	for name, text := range map[string]string{"containerd.toml": containerdConfig, "cni/10-pods.conflist": cniConfig} {
		if err := render(filepath.Join(n.dir, "etc", name), text, values); err != nil {
			return err
		}
	}
	p, err := n.run("containerd", n.runtime.env(), []string{n.runtime.program("containerd"), "--config=" + filepath.Join(n.dir, "etc", "containerd.toml")})
	if err != nil {
		return err
	}
	n.mu.Lock()
	n.containerd = p
	n.mu.Unlock()
	return n.wait(ctx, p, func(ctx context.Context) error {
		out, err := n.Command(ctx, n.runtime.program("ctr"), "--address="+n.Socket(), "--connect-timeout=1s", "version").CombinedOutput()
		if err != nil {
			return fmt.Errorf("ctr version: %w: %s", err, out)
		}
		return nil
	})
}

// StartKubelet runs the node's kubelet. It does not wait until the node is
// Ready.
func (n *Node) StartKubelet(context.Context) error {
	name, address := n.Machine.Name, n.Address().String()
	kubeconfig, err := n.cluster.KubeconfigFor("system:node:"+name, "system:nodes")
	if err != nil {
		return err
	}
	cert, key, err := n.cluster.Certificate("kubelet-"+name, name, address)
	if err != nil {
		return err
	}
	config, err := yaml.Marshal(n.kubeletConfig(cert, key))
	if err != nil {
		return fmt.Errorf("encode the kubelet's configuration: %w", err)
	}
	file := filepath.Join(n.dir, "etc", "kubelet.yaml")
	if err := os.WriteFile(file, config, 0o600); err != nil {
		return fmt.Errorf("write the kubelet's configuration: %w", err)
	}
	p, err := n.Run("kubelet", n.site.cfg.Binaries.Kubelet,
		"--config="+file, "--kubeconfig="+kubeconfig,
		"--hostname-override="+name, "--node-ip="+address, "--root-dir=/var/lib/kubelet")
	if err != nil {
		return err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.kubelet = p
	return nil
}

// kubeletConfig is the kubelet's own default but for what a node that shares
// its computer with others cannot have.
func (n *Node) kubeletConfig(cert, key string) kubeletv1.KubeletConfiguration {
	yes, no, zero := true, false, int32(0)
	hundred := int32(100)
	return kubeletv1.KubeletConfiguration{
		TypeMeta: metav1.TypeMeta{APIVersion: kubeletv1.SchemeGroupVersion.String(), Kind: "KubeletConfiguration"},
		Authentication: kubeletv1.KubeletAuthentication{
			X509:      kubeletv1.KubeletX509Authentication{ClientCAFile: n.cluster.CA()},
			Webhook:   kubeletv1.KubeletWebhookAuthentication{Enabled: &yes},
			Anonymous: kubeletv1.KubeletAnonymousAuthentication{Enabled: &no},
		},
		Authorization: kubeletv1.KubeletAuthorization{Mode: kubeletv1.KubeletAuthorizationModeWebhook},
		TLSCertFile:   cert, TLSPrivateKeyFile: key,
		ContainerRuntimeEndpoint: "unix://" + n.Socket(),
		ClusterDomain:            "cluster.local", ClusterDNS: []string{DNSAddress},
		CgroupDriver: "cgroupfs", CgroupRoot: groupName(n.Machine.Name), FailCgroupV1: &no,
		// Its daemons are in nobody's control group.
		EnforceNodeAllocatable: []string{},
		// What the computer has is shared with the other nodes, so neither
		// its memory nor its disk says anything about this one.
		EvictionHard:                  map[string]string{"memory.available": "0%", "nodefs.available": "0%", "imagefs.available": "0%", "nodefs.inodesFree": "0%", "imagefs.inodesFree": "0%"},
		ImageGCHighThresholdPercent:   &hundred,
		LocalStorageCapacityIsolation: &no,
		// Lowering a process' score needs a right that containers lack.
		OOMScoreAdj:            &zero,
		FailSwapOn:             &no,
		MakeIPTablesUtilChains: &no,
		VolumePluginDir:        "/var/lib/kubelet/volume-plugins",
		// What a test waits for.
		SyncFrequency:             metav1.Duration{Duration: 10 * time.Second},
		FileCheckFrequency:        metav1.Duration{Duration: time.Minute},
		NodeStatusUpdateFrequency: metav1.Duration{Duration: 5 * time.Second},
	}
}

func (n *Node) startProxy(context.Context) error {
	args, err := n.site.proxy(n.cluster, n.Machine.Name, n.Address())
	if err != nil {
		return err
	}
	p, err := n.Run("kube-proxy", args...)
	if err != nil {
		return err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.proxy = p
	return nil
}

// proxy is the command of a kube-proxy.
func (s *Site) proxy(c *cluster.Cluster, name string, address netip.Addr) ([]string, error) {
	kubeconfig, err := c.KubeconfigFor("system:kube-proxy")
	if err != nil {
		return nil, err
	}
	return []string{
		s.cfg.Binaries.KubeProxy, "--kubeconfig=" + kubeconfig, "--hostname-override=" + name, "--bind-address=" + address.String(),
		"--proxy-mode=iptables", "--cluster-cidr=" + podNetwork.String(), "--iptables-min-sync-period=100ms",
		"--healthz-bind-address=", "--metrics-bind-address=127.0.0.1:10249",
		// Limits of the kernel's that are the host's, and not ours to set.
		"--conntrack-max-per-core=0", "--conntrack-tcp-timeout-established=0s", "--conntrack-tcp-timeout-close-wait=0s",
	}, nil
}

// render writes a template with its values to a file.
func render(path, text string, values any) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	t, err := template.New(filepath.Base(path)).Option("missingkey=error").Parse(text)
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	file, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	defer file.Close()
	if err := t.Execute(file, values); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}
