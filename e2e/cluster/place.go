package cluster

import (
	"fmt"
	"net/netip"
	"path/filepath"
)

// Place is where the control plane listens.
type Place struct {
	// Address is an IP address that the nodes reach; "" for the loopback
	// interface.
	Address string
	// Network is the file of the network namespace that has the address:
	// /proc/PID/ns/net.
	Network string
	// Services is the network of the Services' addresses: "10.96.0.0/16".
	Services string
}

// orLoopback fills in the loopback interface. Services are never routed there;
// their network only has to be given.
func (p Place) orLoopback() Place {
	if p.Address == "" {
		return Place{Address: "127.0.0.1", Services: "10.96.0.0/16"}
	}
	return p
}

func (p Place) loopback() bool { return p.Network == "" }

// hosts are the names and addresses of the API server.
func (p Place) hosts() []string {
	hosts := []string{"localhost", "127.0.0.1", "kubernetes", "kubernetes.default", "kubernetes.default.svc"}
	if !p.loopback() {
		hosts = append(hosts, p.Address)
	}
	if services, err := netip.ParsePrefix(p.Services); err == nil { // else the API server refuses it in its own words
		hosts = append(hosts, services.Masked().Addr().Next().String())
	}
	return hosts
}

func (p Place) url(port int) string { return fmt.Sprintf("https://%s:%d", p.Address, port) }

// command is what runs a program in the place's network.
func (p Place) command(path string, args []string) (string, []string) {
	if p.loopback() {
		return path, args
	}
	return "nsenter", append([]string{"--net=" + p.Network, "--", path}, args...)
}

// kubeletClient names the API server's credentials for the kubelets.
const kubeletClient = "apiserver-kubelet"

// apiServerFlags are those that differ between the places.
func (p Place) apiServerFlags(pki string) []string {
	if p.loopback() {
		// A loopback address cannot be the endpoint of a Service.
		return []string{"--endpoint-reconciler-type=none"}
	}
	return []string{
		"--enable-admission-plugins=NodeRestriction",
		// To ask kubelets for logs. Nodes are known by address, not by name.
		"--kubelet-certificate-authority=" + filepath.Join(pki, "ca.crt"),
		"--kubelet-client-certificate=" + filepath.Join(pki, kubeletClient+".crt"),
		"--kubelet-client-key=" + filepath.Join(pki, kubeletClient+".key"),
		"--kubelet-preferred-address-types=InternalIP",
	}
}
