package session

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

func by(r Reach) func(*Server) { return func(v *Server) { v.Reach = r } }

func onHostPort(port int32) func(*Server) { return func(v *Server) { v.HostPort = port } }

// service is the Service of server x as the API server has it: created for a way
// to reach x, and changed.
func service(r Reach, change ...func(*corev1.Service)) *Service {
	s := ServiceFor(server("x", Ready, by(r)), "sessions")
	s.UID, s.ResourceVersion = "u-s", "5"
	s.Spec.Ports[0].NodePort = 30080
	for _, c := range change {
		c(s)
	}
	read, ok := OfService(s)
	if !ok {
		panic("not a server's Service")
	}
	return read
}

func balancedAt(in corev1.LoadBalancerIngress) func(*corev1.Service) {
	return func(s *corev1.Service) { s.Status.LoadBalancer.Ingress = []corev1.LoadBalancerIngress{in} }
}

// TestReachable: a server that is ready is served by once its address is known,
// and what its address needs is planned.
func TestReachable(t *testing.T) {
	changed := func(change func(*corev1.Service)) *Service { return service(ReachNodePort, change) }
	served := map[string]string{"a": "x"}
	tests := map[string]struct {
		server   *Server
		service  *Service
		external string
		address  string
		want     done
	}{
		"pod IP":                        {server: server("x", Ready), address: "10.0.0.1:8080", want: done{Assign: served}},
		"no pod IP yet":                 {server: server("x", Ready, func(v *Server) { v.PodIP = "" }), want: done{}},
		"host port":                     {server: server("x", Ready, by(ReachHostPort), onHostPort(18080)), address: "192.0.2.1:18080", want: done{Assign: served}},
		"host port, external address":   {server: server("x", Ready, by(ReachHostPort), onHostPort(18080)), external: "203.0.113.9", address: "203.0.113.9:18080", want: done{Assign: served}},
		"no host port":                  {server: server("x", Ready, by(ReachHostPort)), want: done{}},
		"node port, not bound":          {server: server("x", Waiting, by(ReachNodePort)), want: done{}},
		"node port, bound":              {server: server("x", Starting, by(ReachNodePort)), want: done{Expose: []string{"x"}}},
		"node port, being created":      {server: server("x", Waiting, by(ReachNodePort), func(v *Server) { v.UID = "" }), want: done{}},
		"node port, ready":              {server: server("x", Ready, by(ReachNodePort)), want: done{Expose: []string{"x"}}},
		"node port, gone":               {server: server("x", Gone, by(ReachNodePort)), want: done{Create: 1}},
		"node port, known":              {server: server("x", Ready, by(ReachNodePort)), service: service(ReachNodePort), address: "192.0.2.1:30080", want: done{Assign: served}},
		"node port, external address":   {server: server("x", Ready, by(ReachNodePort)), service: service(ReachNodePort), external: "203.0.113.9", address: "203.0.113.9:30080", want: done{Assign: served}},
		"node port, not allocated":      {server: server("x", Ready, by(ReachNodePort)), service: changed(func(s *corev1.Service) { s.Spec.Ports[0].NodePort = 0 }), want: done{}},
		"load balancer, none yet":       {server: server("x", Ready, by(ReachLoadBalancer)), service: service(ReachLoadBalancer), want: done{}},
		"load balancer, IP":             {server: server("x", Ready, by(ReachLoadBalancer)), service: service(ReachLoadBalancer, balancedAt(corev1.LoadBalancerIngress{IP: "198.51.100.4"})), address: "198.51.100.4:8080", want: done{Assign: served}},
		"load balancer, IPv6":           {server: server("x", Ready, by(ReachLoadBalancer)), service: service(ReachLoadBalancer, balancedAt(corev1.LoadBalancerIngress{IP: "2001:db8::4"})), address: "[2001:db8::4]:8080", want: done{Assign: served}},
		"load balancer, name":           {server: server("x", Ready, by(ReachLoadBalancer)), service: service(ReachLoadBalancer, balancedAt(corev1.LoadBalancerIngress{Hostname: "lb.example"})), address: "lb.example:8080", want: done{Assign: served}},
		"Service of another type":       {server: server("x", Ready, by(ReachLoadBalancer)), service: service(ReachNodePort), want: done{Withdraw: []string{"x"}}},
		"Service of a pod that is gone": {server: server("x", Ready, by(ReachNodePort)), service: changed(func(s *corev1.Service) { s.OwnerReferences[0].UID = "older" }), want: done{Withdraw: []string{"x"}}},
		"Service owned by nobody":       {server: server("x", Ready, by(ReachNodePort)), service: changed(func(s *corev1.Service) { s.OwnerReferences = nil }), want: done{Withdraw: []string{"x"}}},
		"Service for another pod":       {server: server("x", Ready, by(ReachNodePort)), service: changed(func(s *corev1.Service) { s.Spec.Selector[serverLabel] = "y" }), want: done{Withdraw: []string{"x"}}},
		"Service for fewer pods":        {server: server("x", Ready, by(ReachNodePort)), service: changed(func(s *corev1.Service) { s.Spec.Selector["app"] = "z" }), want: done{Withdraw: []string{"x"}}},
		"Service with another port":     {server: server("x", Ready, by(ReachNodePort)), service: changed(func(s *corev1.Service) { s.Spec.Ports[0].TargetPort = intstr.FromInt32(9) }), want: done{Withdraw: []string{"x"}}},
		"Service that is being deleted": {server: server("x", Ready, by(ReachNodePort)), service: changed(func(s *corev1.Service) { s.DeletionTimestamp = &metav1.Time{Time: start} }), want: done{}},
		"Service that is being created": {server: server("x", Ready, by(ReachNodePort)), service: changed(func(s *corev1.Service) { s.ResourceVersion, s.Spec.Ports[0].NodePort = "", 0 }), want: done{}},
		"Service where none is needed":  {server: server("x", Ready), service: service(ReachNodePort), address: "10.0.0.1:8080", want: done{Assign: served}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			table := NewTable()
			table.Put(waits("a", 0))
			// In every order of arrival.
			arrivals := []func(){
				func() { table.PutServer(tt.server) },
				func() {
					if tt.service != nil {
						table.PutService(tt.service)
					}
				},
				func() { table.SetNode("edge-1", tt.external) },
			}
			for first := range arrivals {
				table.RemoveServer("x")
				table.RemoveService("x")
				table.SetNode("edge-1", "")
				for i := range arrivals {
					arrivals[(first+i)%len(arrivals)]()
				}
				if got := table.Server("x").Address; got != tt.address {
					t.Errorf("address %q, want %q", got, tt.address)
				}
				got := table.Plan(faces, Limits{PerServer: 1, Idle: time.Minute}, start)
				if diff := cmp.Diff(tt.want, doneOf(got)); diff != "" {
					t.Errorf("plan (-want +got):\n%s", diff)
				}
			}
		})
	}
}

// TestServiceLost: a server whose Service is deleted keeps its sessions, and has
// another address once there is one again.
func TestServiceLost(t *testing.T) {
	table := NewTable()
	table.Put(waits("a", 0, servedBy("x")))
	table.PutServer(server("x", Ready, by(ReachNodePort)))
	table.PutService(service(ReachNodePort))
	table.RemoveService("x")
	if v := table.Server("x"); v.Phase != Unreachable || v.Address != "" {
		t.Errorf("without its Service it is %s at %q", v.Phase, v.Address)
	}
	got := table.Plan(faces, Limits{PerServer: 1, Idle: time.Minute}, start.Add(time.Hour))
	if diff := cmp.Diff(done{Expose: []string{"x"}}, doneOf(got)); diff != "" {
		t.Errorf("plan (-want +got):\n%s", diff)
	}
	table.PutService(service(ReachNodePort, func(s *corev1.Service) { s.Spec.Ports[0].NodePort = 30099 }))
	if v := table.Server("x"); v.Phase != Ready || v.Address != "192.0.2.1:30099" {
		t.Errorf("with another it is %s at %q", v.Phase, v.Address)
	}
}

// TestSetNode: the servers of that node alone move to its external address.
func TestSetNode(t *testing.T) {
	table := NewTable()
	onNode := func(node string) func(*Server) { return func(v *Server) { v.Node = node } }
	table.PutServer(server("x", Ready, by(ReachHostPort), onHostPort(1), onNode("a")))
	table.PutServer(server("y", Ready, by(ReachHostPort), onHostPort(1), onNode("b")))
	table.PutServer(server("z", Ready, onNode("a")))
	for _, step := range []struct {
		external string
		moved    []string
		address  string
	}{
		{"203.0.113.1", []string{"x"}, "203.0.113.1:1"},
		{"203.0.113.1", nil, "203.0.113.1:1"},
		{"", []string{"x"}, "192.0.2.1:1"},
	} {
		var moved []string
		for _, v := range table.SetNode("a", step.external) {
			moved = append(moved, v.Name)
		}
		if !slices.Equal(moved, step.moved) || table.Server("x").Address != step.address {
			t.Errorf("external address %q: %v moved, and x is at %s", step.external, moved, table.Server("x").Address)
		}
	}
}

func TestNotAServersService(t *testing.T) {
	for _, name := range []string{"kubernetes", "svc-"} {
		if s, ok := OfService(&corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: name}}); ok {
			t.Errorf("%s is read as %+v", name, s)
		}
	}
}

func TestParseReach(t *testing.T) {
	for _, r := range reaches {
		if got, err := ParseReach(string(r)); got != r || err != nil {
			t.Errorf("%s is read as %q, %v", r, got, err)
		}
	}
	if r, err := ParseReach("cluster-ip"); err == nil {
		t.Errorf("cluster-ip is read as %q", r)
	}
}
