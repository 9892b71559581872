package deploy_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"heteroaccel.io/cli/distribution"
)

// peer is a workload, or somebody outside, who may talk.
type peer struct {
	name, namespace string
	labels          labels.Set
	ports           []string // their names
	cidr            string   // of who is no pod
}

// network is who is there, and what the policies say.
type network struct {
	peers    []peer
	policies []*networkingv1.NetworkPolicy
}

func readNetwork(t *testing.T) network {
	t.Helper()
	n := network{peers: []peer{
		{name: "API server", cidr: "192.0.2.1/32"},
		{name: "camera", cidr: "198.51.100.1/32"},
		{name: "DNS", namespace: "kube-system", labels: labels.Set{"k8s-app": "kube-dns"}, ports: []string{"53"}},
		{name: "tenant", namespace: "default", labels: labels.Set{"app.kubernetes.io/name": "heteroaccel-webhook"}},
		{name: distribution.Second, namespace: "heteroaccel-system", labels: labels.Set{"app.kubernetes.io/name": distribution.Second}, ports: []string{"10259"}},
		{name: "pod among ours", namespace: "heteroaccel-system", labels: labels.Set{"app": "x"}, ports: []string{"http", "https", "metrics", "verbs"}},
	}}
	workload := func(meta metav1.ObjectMeta, template corev1.PodTemplateSpec) {
		p := peer{name: meta.Name, namespace: meta.Namespace, labels: template.Labels}
		for _, port := range template.Spec.Containers[0].Ports {
			p.ports = append(p.ports, port.Name)
		}
		n.peers = append(n.peers, p)
	}
	for _, obj := range decode(t, render(t, "testdata/network-policies")) {
		switch o := obj.(type) {
		case *appsv1.Deployment:
			workload(o.ObjectMeta, o.Spec.Template)
		case *appsv1.DaemonSet:
			workload(o.ObjectMeta, o.Spec.Template)
		case *networkingv1.NetworkPolicy:
			n.policies = append(n.policies, o)
		}
	}
	return n
}

func selects(t *testing.T, s *metav1.LabelSelector, of labels.Set) bool {
	t.Helper()
	if s == nil {
		return true
	}
	selector, err := metav1.LabelSelectorAsSelector(s)
	if err != nil {
		t.Fatal(err)
	}
	return selector.Matches(of)
}

// isAmong reports whether a peer is one of those that a rule of a policy names.
func (p peer) isAmong(t *testing.T, policy *networkingv1.NetworkPolicy, named []networkingv1.NetworkPolicyPeer) bool {
	t.Helper()
	return len(named) == 0 || slices.ContainsFunc(named, func(n networkingv1.NetworkPolicyPeer) bool {
		switch {
		case n.IPBlock != nil:
			return p.cidr == n.IPBlock.CIDR
		case p.cidr != "":
			return false
		case n.NamespaceSelector == nil && p.namespace != policy.Namespace:
			return false
		}
		return selects(t, n.NamespaceSelector, labels.Set{corev1.LabelMetadataName: p.namespace}) && selects(t, n.PodSelector, p.labels)
	})
}

func ofPort(port string, ports []networkingv1.NetworkPolicyPort) bool {
	return len(ports) == 0 || slices.ContainsFunc(ports, func(p networkingv1.NetworkPolicyPort) bool { return p.Port.String() == port })
}

// allowed reports whether the policies of one side let from reach a port of to.
func (n network) allowed(t *testing.T, direction networkingv1.PolicyType, from, to peer, port string) bool {
	t.Helper()
	subject := to
	if direction == networkingv1.PolicyTypeEgress {
		subject = from
	}
	isolated := false
	for _, p := range n.policies {
		if subject.cidr != "" || p.Namespace != subject.namespace || !slices.Contains(p.Spec.PolicyTypes, direction) || !selects(t, &p.Spec.PodSelector, subject.labels) {
			continue
		}
		isolated = true
		for _, r := range p.Spec.Ingress {
			if direction == networkingv1.PolicyTypeIngress && from.isAmong(t, p, r.From) && ofPort(port, r.Ports) {
				return true
			}
		}
		for _, r := range p.Spec.Egress {
			if direction == networkingv1.PolicyTypeEgress && to.isAmong(t, p, r.To) && ofPort(port, r.Ports) {
				return true
			}
		}
	}
	return !isolated
}

// TestNetworkPolicies: of all that could talk to one another, whatever is written
// here does, and nothing else that concerns our namespaces.
func TestNetworkPolicies(t *testing.T) {
	n := readNetwork(t)
	got := map[string][]string{}
	for _, from := range n.peers {
		for _, to := range n.peers {
			ports := to.ports
			if to.cidr != "" {
				ports = []string{"443", "6443", "8090"}
			}
			for _, port := range ports {
				ours := strings.HasPrefix(from.namespace, "heteroaccel-") || strings.HasPrefix(to.namespace, "heteroaccel-")
				if ours && n.allowed(t, networkingv1.PolicyTypeEgress, from, to, port) && n.allowed(t, networkingv1.PolicyTypeIngress, from, to, port) {
					got[from.name] = append(got[from.name], fmt.Sprintf("%s:%s", to.name, port))
				}
			}
		}
		slices.Sort(got[from.name])
	}
	decides := []string{"API server:443", "API server:6443", "DNS:53", "heteroaccel-exporter:metrics", "heteroaccel-prometheus:http"}
	want := map[string][]string{
		"API server":                 {"heteroaccel-connector-node:http", "heteroaccel-connector:http", "heteroaccel-extender:verbs", "heteroaccel-webhook:https"},
		"camera":                     {"heteroaccel-connector-node:http", "heteroaccel-connector:http"},
		"tenant":                     {"heteroaccel-connector-node:http", "heteroaccel-connector:http"},
		"DNS":                        {"heteroaccel-connector-node:http", "heteroaccel-connector:http"},
		"pod among ours":             {"DNS:53"},
		distribution.Second:          {"API server:443", "API server:6443", "DNS:53", "heteroaccel-extender:verbs"},
		"heteroaccel-webhook":        append(slices.Clone(decides), "heteroaccel-webhook:https"),
		"heteroaccel-extender":       append(slices.Clone(decides), "heteroaccel-webhook:https"),
		"heteroaccel-connector":      decides,
		"heteroaccel-connector-node": decides,
		"heteroaccel-prometheus": {"API server:443", "API server:6443", "DNS:53", "heteroaccel-connector-node:metrics", "heteroaccel-connector:metrics",
			"heteroaccel-exporter:metrics", "heteroaccel-extender:metrics", "heteroaccel-webhook:metrics"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestNetworkPoliciesSelect: no policy but those for everybody selects nobody, or a
// port that whom it names does not have.
func TestNetworkPoliciesSelect(t *testing.T) {
	n := readNetwork(t)
	for _, p := range n.policies {
		var selected []peer
		for _, w := range n.peers {
			if w.cidr == "" && w.namespace == p.Namespace && selects(t, &p.Spec.PodSelector, w.labels) {
				selected = append(selected, w)
			}
		}
		if len(selected) == 0 {
			t.Errorf("%s in %s is for nobody", p.Name, p.Namespace)
		}
		for _, r := range p.Spec.Ingress {
			for _, port := range r.Ports {
				for _, w := range selected {
					if !slices.Contains(w.ports, port.Port.String()) {
						t.Errorf("%s: %s has no port %s", p.Name, w.name, port.Port)
					}
				}
			}
		}
	}
}

// TestNetworkAddresses: the patches of the page put the operator's address wherever
// one is needed.
func TestNetworkAddresses(t *testing.T) {
	rendered := string(render(t, "testdata/network-addresses"))
	if n := strings.Count(rendered, "cidr: 10.0.0.10/32"); n != 3 || strings.Contains(rendered, "192.0.2.1") {
		t.Errorf("the address is there %d times, want 3 and none of the others", n)
	}
}
