package gateway

import (
	"context"
	_ "embed"
	"fmt"
	"os"
	"path/filepath"

	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"heteroaccel.io/e2e/cluster"
)

//go:embed gateway.yaml
var manifest string

const (
	namespace = "heteroaccel-system"
	// service is the name of the Service in the manifest.
	service = "gateway"
	// envoyPort is where Envoy listens for the port 80 of a Gateway: Contour adds
	// 8000 to it.
	envoyPort = 8080
	xdsPort   = 8001
)

// Programs are the names of the processes that Start starts and that stay.
var Programs = []string{"contour", "envoy"}

// Start installs the Gateway API and a Gateway, heteroaccel-system/heteroaccel, and
// runs Contour and Envoy for it where the cluster's control plane is. They end with
// the cluster. It returns the Gateway's address, that of a Service with port 80.
func Start(ctx context.Context, c *cluster.Cluster, at cluster.Place) (string, error) {
	p, err := install(ctx)
	if err != nil {
		return "", err
	}
	if err := crds(ctx, c); err != nil {
		return "", err
	}
	if said, err := c.KubectlInput(ctx, manifest, "apply", "--server-side", "-f", "-"); err != nil {
		return "", fmt.Errorf("create the Gateway: %w: %s", err, said)
	}
	s, err := c.Client().CoreV1().Services(namespace).Get(ctx, service, metav1.GetOptions{})
	if err != nil {
		return "", fmt.Errorf("read the Gateway's Service: %w", err)
	}
	ready, port, name := true, int32(envoyPort), "http"
	_, err = c.Client().DiscoveryV1().EndpointSlices(namespace).Create(ctx, &discoveryv1.EndpointSlice{
		ObjectMeta:  metav1.ObjectMeta{Name: service, Labels: map[string]string{discoveryv1.LabelServiceName: service}},
		AddressType: discoveryv1.AddressTypeIPv4,
		Endpoints:   []discoveryv1.Endpoint{{Addresses: []string{at.Address}, Conditions: discoveryv1.EndpointConditions{Ready: &ready}}},
		Ports:       []discoveryv1.EndpointPort{{Name: &name, Port: &port}},
	}, metav1.CreateOptions{})
	if err != nil {
		return "", fmt.Errorf("create the endpoint of the Gateway's Service: %w", err)
	}
	return s.Spec.ClusterIP, p.run(ctx, c, at.Network, s.Spec.ClusterIP)
}

// CRDs are the files of the Gateway API's CRDs with these plural names, of the module
// that the connector has its types of.
func CRDs(ctx context.Context, names ...string) ([]string, error) {
	dir, err := cluster.ModuleDir(ctx, "", "sigs.k8s.io/gateway-api")
	if err != nil {
		return nil, err
	}
	files := make([]string, len(names))
	for i, name := range names {
		files[i] = filepath.Join(dir, "config/crd/standard/gateway.networking.k8s.io_"+name+".yaml")
	}
	return files, nil
}

// crds installs those of the Gateway API that the connector has its types of, and
// Contour's own.
func crds(ctx context.Context, c *cluster.Cluster) error {
	api, err := CRDs(ctx, "gatewayclasses", "gateways", "httproutes", "referencegrants")
	if err != nil {
		return err
	}
	contour, err := cluster.ModuleDir(ctx, contourDir, contourModule)
	if err != nil {
		return err
	}
	args := []string{"apply", "--server-side", "-f", filepath.Join(contour, "examples/contour/01-crds.yaml")}
	for _, file := range api {
		args = append(args, "-f", file)
	}
	if _, err := c.Kubectl(ctx, args...); err != nil {
		return fmt.Errorf("install the Gateway API: %w", err)
	}
	if err := c.Established(ctx, "--all"); err != nil {
		return fmt.Errorf("install the Gateway API: %w", err)
	}
	return nil
}

// run starts both programs, with an address for the Gateway's status.
func (p programs) run(ctx context.Context, c *cluster.Cluster, network, address string) error {
	dir := filepath.Join(c.Dir(), "gateway")
	if err := os.MkdirAll(filepath.Join(dir, "resources"), 0o755); err != nil {
		return fmt.Errorf("make the directory of the gateway: %w", err)
	}
	config, bootstrap := filepath.Join(dir, "contour.yaml"), filepath.Join(dir, "envoy.json")
	text := fmt.Sprintf("gateway:\n  gatewayRef: {namespace: %s, name: heteroaccel}\n", namespace)
	if err := os.WriteFile(config, []byte(text), 0o644); err != nil {
		return fmt.Errorf("configure Contour: %w", err)
	}
	serve := []string{
		"serve", "--kubeconfig", c.Kubeconfig(), "--config-path", config, "--disable-leader-election", "--insecure",
		"--xds-address", "127.0.0.1", "--xds-port", fmt.Sprint(xdsPort), "--ingress-status-address", address,
	}
	for _, unused := range []string{"extensionservices", "tlsroutes", "grpcroutes", "tcproutes", "backendtlspolicies"} {
		serve = append(serve, "--disable-feature", unused)
	}
	inside := func(name, program string, args ...string) (*cluster.Process, error) {
		return c.StartProcess(name, "nsenter", append([]string{"--net=" + network, "--", program}, args...), nil)
	}
	if _, err := inside("contour", p.contour, serve...); err != nil {
		return err
	}
	write, err := inside("contour bootstrap", p.contour, "bootstrap", "--xds-address", "127.0.0.1", "--xds-port", fmt.Sprint(xdsPort),
		"--admin-address", filepath.Join(dir, "admin.sock"), "--resources-dir", filepath.Join(dir, "resources"), bootstrap)
	if err != nil {
		return err
	}
	if err := write.Wait(ctx); err != nil {
		return fmt.Errorf("configure Envoy: %w", err)
	}
	_, err = inside("envoy", p.envoy, "-c", bootstrap, "--service-cluster", "gateway", "--service-node", "envoy", "--disable-hot-restart", "--log-level", "warn")
	return err
}
