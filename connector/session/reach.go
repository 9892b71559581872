package session

import (
	"cmp"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// Reach is how clients reach a server. It is decided when the server is created,
// and stays with it.
type Reach string

// The ways to reach a server. The node's address is its ExternalIP, else its
// InternalIP.
const (
	ReachPodIP        Reach = "pod-ip"        // the pod's own address
	ReachHostPort     Reach = "host-port"     // the node's address and the port's hostPort
	ReachNodePort     Reach = "node-port"     // the node's address and the port of a Service there
	ReachLoadBalancer Reach = "load-balancer" // the address of the load balancer of a Service
	ReachGateway      Reach = "gateway"       // the address of a Gateway and a path there
)

var reaches = []Reach{ReachPodIP, ReachHostPort, ReachNodePort, ReachLoadBalancer, ReachGateway}

// ParseReach reads one of the ways.
func ParseReach(text string) (Reach, error) {
	if r := Reach(text); slices.Contains(reaches, r) {
		return r, nil
	}
	names := make([]string, len(reaches))
	for i, r := range reaches {
		names[i] = string(r)
	}
	return "", fmt.Errorf("%q is no way to reach a server: give %s", text, strings.Join(names, ", "))
}

// serviceType is the type of the Service that a server needs, "" where it needs
// none.
func (r Reach) serviceType() corev1.ServiceType {
	switch r {
	case ReachNodePort:
		return corev1.ServiceTypeNodePort
	case ReachLoadBalancer:
		return corev1.ServiceTypeLoadBalancer
	case ReachGateway:
		return corev1.ServiceTypeClusterIP
	}
	return ""
}

// plain is the protocol of servers that clients reach themselves.
const plain = "http"

// located is a server with its address, or what that waits for.
func (t *Table) located(v *Server) *Server {
	if v.Phase != Ready && v.Phase != Unreachable {
		return v
	}
	next := *v
	next.Address, next.Protocol, next.Pending, next.Refused = "", plain, "", false
	if v.Reach == ReachGateway {
		next.behind(t.services[v.Name], t.routes[v.Name], t.gateway)
	} else if host, port := v.endpoint(t.services[v.Name], t.external[v.Node]); host != "" && port != 0 {
		next.Address = net.JoinHostPort(host, strconv.Itoa(int(port)))
	} else if next.Pending = "its address is not known yet"; v.Reach == ReachLoadBalancer {
		next.Pending = "its load balancer has no address yet"
	}
	if next.Phase = Ready; next.Address == "" {
		next.Phase = Unreachable
	}
	return &next
}

// endpoint is where clients reach a server of whose Service, nil for none, and
// node's external address, "" for none, is known; "" or 0 is not known.
func (v *Server) endpoint(s *Service, external string) (host string, port int32) {
	node := cmp.Or(external, v.HostIP)
	if v.Reach.serviceType() != "" && !s.serves(v) {
		return "", 0
	}
	switch v.Reach {
	case ReachHostPort:
		return node, v.HostPort
	case ReachNodePort:
		return node, s.NodePort
	case ReachLoadBalancer:
		return s.Host, v.Port
	}
	return v.PodIP, v.Port
}

// Progress is why a server runs where it does, and what it waits for.
func (v *Server) Progress() string {
	switch {
	case v.Phase == Waiting && v.Verdict != "":
		return v.Reason + "; the scheduler: " + v.Verdict
	case v.Phase == Unreachable:
		return v.Reason + "; " + v.Pending
	}
	return v.Reason
}

// ExternalIP is the address of a node that is reached from outside the cluster,
// "" when it has none.
func ExternalIP(n *corev1.Node) string {
	for _, a := range n.Status.Addresses {
		if a.Type == corev1.NodeExternalIP {
			return a.Address
		}
	}
	return ""
}
