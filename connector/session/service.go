package session

import (
	"cmp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"

	"heteroaccel.io/pkg/accel"
)

// serverLabel has the name of a server, on its pod, for its Service to select it.
const serverLabel = accel.Prefix + "session-server"

// servicePrefix begins the names of servers' Services: the name of a Service
// starts with a letter, that of a pod may start with a digit.
const servicePrefix = "svc-"

// Service is what makes a server reachable from outside the cluster. It is
// immutable.
type Service struct {
	// Server is the name of the server's pod, and Owner its uid.
	Server, Owner string
	// Type, Selects and Port are what it is: which pod it sends to, by name, and
	// which port it has and sends to.
	Type    corev1.ServiceType
	Selects string
	Port    int32
	// NodePort is its port on every node, and Host the address of its load
	// balancer; 0 and "" while they are not known.
	NodePort int32
	Host     string
	// Gone is that it is being deleted.
	Gone bool
	// UID and Version are the API server's uid and resourceVersion, "" when it
	// is not there yet.
	UID, Version string
}

// ServiceName is the name of the Service of a server.
func ServiceName(server string) string { return servicePrefix + server }

// ServerOf is the server that a Service of this name is for.
func ServerOf(service string) (server string, ok bool) {
	server, ok = strings.CutPrefix(service, servicePrefix)
	return server, ok && server != ""
}

// ServiceFor is the Service that a server needs. It goes with the server's pod,
// which owns it, and sends to that pod alone.
func ServiceFor(v *Server, namespace string) *corev1.Service {
	s := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: namespace, Name: ServiceName(v.Name),
			Labels:          map[string]string{Label: LabelServer},
			OwnerReferences: ownedBy(v),
		},
		Spec: corev1.ServiceSpec{
			Type: v.Reach.serviceType(), Selector: map[string]string{serverLabel: v.Name},
			Ports: []corev1.ServicePort{{Name: portName, Port: v.Port, TargetPort: intstr.FromInt32(v.Port)}},
		},
	}
	if v.Reach == ReachNodePort {
		// Clients are given the address of the pod's own node.
		s.Spec.ExternalTrafficPolicy = corev1.ServiceExternalTrafficPolicyLocal
	}
	return s
}

// ownedBy makes what is created for a server go with its pod.
func ownedBy(v *Server) []metav1.OwnerReference {
	return []metav1.OwnerReference{{APIVersion: "v1", Kind: "Pod", Name: v.Name, UID: types.UID(v.UID)}}
}

// ownerOf is the uid of the server's pod that owns something, "" when none does.
func ownerOf(owners []metav1.OwnerReference, server string) string {
	for _, o := range owners {
		if o.Kind == "Pod" && o.Name == server {
			return string(o.UID)
		}
	}
	return ""
}

// OfService reads a server's Service; ok is false for any other.
func OfService(in *corev1.Service) (s *Service, ok bool) {
	server, ok := ServerOf(in.Name)
	if !ok {
		return nil, false
	}
	s = &Service{
		Server: server, Owner: ownerOf(in.OwnerReferences, server), Type: in.Spec.Type, Selects: in.Spec.Selector[serverLabel],
		Gone: in.DeletionTimestamp != nil, UID: string(in.UID), Version: in.ResourceVersion,
	}
	if len(in.Spec.Selector) != 1 {
		s.Selects = ""
	}
	if len(in.Spec.Ports) == 1 && in.Spec.Ports[0].TargetPort == intstr.FromInt32(in.Spec.Ports[0].Port) {
		s.Port, s.NodePort = in.Spec.Ports[0].Port, in.Spec.Ports[0].NodePort
	}
	if in := in.Status.LoadBalancer.Ingress; len(in) > 0 {
		s.Host = cmp.Or(in[0].IP, in[0].Hostname)
	}
	return s, true
}

// fits reports whether a Service is what a server needs.
func (s *Service) fits(v *Server) bool {
	return s.Owner == v.UID && s.Type == v.Reach.serviceType() && s.Selects == v.Name && s.Port == v.Port
}

// serves reports whether a Service, nil for none, is there and what a server
// needs.
func (s *Service) serves(v *Server) bool {
	return s != nil && !s.Gone && s.Version != "" && s.fits(v)
}

// expose plans the Services of a pool's servers: one for each that is bound and
// needs one, so that what waits for a device takes no port, and none that
// somebody has changed.
func (t *Table) expose(plan *Plan, m *members) {
	for _, v := range m.servers {
		if v.UID == "" || v.Reach.serviceType() == "" || v.Phase == Waiting || v.Phase == Gone {
			continue
		}
		switch s := t.services[v.Name]; {
		case s == nil:
			plan.Expose = append(plan.Expose, v)
		case s.Gone || s.fits(v): // one that is being deleted still has the name
		case s.Version != "":
			plan.Withdraw = append(plan.Withdraw, s)
		}
	}
	slices.SortFunc(plan.Expose, func(a, b *Server) int { return strings.Compare(a.Name, b.Name) })
	slices.SortFunc(plan.Withdraw, func(a, b *Service) int { return strings.Compare(a.Server, b.Server) })
}

// Service returns the Service of a server, or nil.
func (t *Table) Service(server string) *Service { return t.services[server] }

// PutService takes a new or changed Service.
func (t *Table) PutService(s *Service) {
	t.services[s.Server] = s
	t.relocate(s.Server)
}

// RemoveService forgets the Service of a server.
func (t *Table) RemoveService(server string) {
	delete(t.services, server)
	t.relocate(server)
}

// SetNode takes the external address of a node, "" for none, and returns the
// servers that have another address by it.
func (t *Table) SetNode(node, external string) (moved []*Server) {
	if t.external[node] == external {
		return nil
	}
	if t.external[node] = external; external == "" {
		delete(t.external, node)
	}
	for name, v := range t.servers {
		if v.Node == node && t.relocate(name) {
			moved = append(moved, t.servers[name])
		}
	}
	return moved
}

// relocate gives a server its address anew, and reports whether it is another.
func (t *Table) relocate(server string) bool {
	v := t.servers[server]
	if v == nil {
		return false
	}
	t.PutServer(v)
	now := t.servers[server]
	return now.Address != v.Address || now.Protocol != v.Protocol
}
