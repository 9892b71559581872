package e2e

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"heteroaccel.io/e2e/machine"
	"heteroaccel.io/e2e/stack"
)

// oneGPUEach is three nodes that are alike.
func oneGPUEach() []*machine.Machine {
	return machine.Fleet(3, machine.Shape{GPUs: 1, Cores: 8})
}

// TestReach: cameras are given addresses outside the cluster, on the node that
// they are attached to if there is a device.
func TestReach(t *testing.T) {
	s := borrow(t, authenticated)
	if err := s.InstallConnector(t.Context()); err != nil {
		t.Fatal(err)
	}
	gatewayAPI(t, s)
	nodePort(t, s)
	defer func() { s.Process("connector").Kill() }() // it was started anew meanwhile
	for _, scene := range []shared{
		{"node port", reachByNodePort},
		{"external address of the node", reachByExternalAddress},
		{"Service deleted", serviceDeleted},
		{"Service changed", serviceChanged},
		{"profile overrides: load balancer", reachByLoadBalancer},
		{"profile overrides: host port", reachByHostPort},
		{"killed between pod and Service", killedBeforeService},
		{"near", nearNode},
		{"callers", callers},
		{"metrics", sessionMetrics},
		// Late: the garbage collector takes a while to learn of HTTPRoutes.
		{"profile overrides: Gateway", reachByGateway},
	} {
		t.Run(scene.name, func(t *testing.T) {
			scene.run(t, s)
			noServers(t, s)
			noServices(t, s)
		})
	}
}

// nodePort starts the connector, that of node-000, whose servers are reached by
// node ports.
func nodePort(t *testing.T, s *stack.Stack) {
	t.Helper()
	err := s.StartConnector(t.Context(), "connector", "--server-address=node-port", theGateway, "--node-name=node-000",
		"--idle-timeout=1s", "--max-requests-per-second=1000", "--max-requests-burst=1000")
	if err != nil {
		t.Fatal(err)
	}
}

// services are those of the connector's servers.
func services(ctx context.Context, s *stack.Stack) ([]corev1.Service, error) {
	list, err := s.Client().CoreV1().Services(stack.SessionNamespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	return list.Items, nil
}

// noServices waits until the Services have gone with their pods.
func noServices(t *testing.T, s *stack.Stack) {
	t.Helper()
	eventually(t, func(ctx context.Context) error {
		left, err := services(ctx, s)
		if err == nil && len(left) > 0 {
			err = fmt.Errorf("%d Services are left", len(left))
		}
		return err
	})
}

// serviceOf waits for the one Service of a server.
func serviceOf(t *testing.T, s *stack.Stack, pod string) (found corev1.Service) {
	t.Helper()
	eventually(t, func(ctx context.Context) error {
		all, err := services(ctx, s)
		if err != nil {
			return err
		}
		n := 0
		for _, service := range all {
			if o := service.OwnerReferences; len(o) == 1 && o[0].Kind == "Pod" && o[0].Name == pod {
				found = service
				n++
			}
		}
		if n != 1 {
			return fmt.Errorf("pod %s owns %d Services", pod, n)
		}
		return nil
	})
	return found
}

// selected are the names of the pods that a Service sends to.
func selected(t *testing.T, s *stack.Stack, service corev1.Service) (names []string) {
	t.Helper()
	list, err := s.Client().CoreV1().Pods(service.Namespace).List(t.Context(), metav1.ListOptions{LabelSelector: metav1.FormatLabelSelector(&metav1.LabelSelector{MatchLabels: service.Spec.Selector})})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range list.Items {
		names = append(names, p.Name)
	}
	return names
}

// at is an error unless a session is served at an address.
func at(address string) func(sessionAnswer) error {
	return func(a sessionAnswer) error {
		if a.Address != address {
			return fmt.Errorf("it is to be reached at %s: %+v", address, a)
		}
		return served(a)
	}
}

func nodePortOf(service corev1.Service) string {
	return strconv.Itoa(int(service.Spec.Ports[0].NodePort))
}

// reachByNodePort: each of two servers has a Service that sends to it alone, and
// is given by the node's address and that Service's port.
func reachByNodePort(t *testing.T, s *stack.Stack) {
	c := camera{s, "connector"}
	first := c.create(t, `{"inference":"face-recognition"}`, true)
	second := c.create(t, `{"inference":"face-recognition"}`, true)
	for _, a := range []sessionAnswer{first, second} {
		service := serviceOf(t, s, a.Pod)
		if service.Spec.Type != corev1.ServiceTypeNodePort || service.Spec.Ports[0].TargetPort.IntValue() != 8080 {
			t.Errorf("the Service is %+v", service.Spec)
		}
		if got := selected(t, s, service); len(got) != 1 || got[0] != a.Pod {
			t.Errorf("the Service of %s sends to %v", a.Pod, got)
		}
		pod, err := s.Client().CoreV1().Pods(stack.SessionNamespace).Get(t.Context(), a.Pod, metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if err := at(pod.Status.HostIP + ":" + nodePortOf(service))(a); err != nil {
			t.Error(err)
		}
	}
	c.end(t, first.ID)
	c.end(t, second.ID)
}

// reachByExternalAddress: a node that gets an ExternalIP is reached by it.
func reachByExternalAddress(t *testing.T, s *stack.Stack) {
	c := camera{s, "connector"}
	a := c.create(t, `{"inference":"face-recognition"}`, true)
	external := func(addresses ...corev1.NodeAddress) {
		t.Helper()
		eventually(t, func(ctx context.Context) error {
			node, err := s.Client().CoreV1().Nodes().Get(ctx, a.Node, metav1.GetOptions{})
			if err != nil {
				return err
			}
			var kept []corev1.NodeAddress
			for _, known := range node.Status.Addresses {
				if known.Type != corev1.NodeExternalIP {
					kept = append(kept, known)
				}
			}
			node.Status.Addresses = append(kept, addresses...)
			_, err = s.Client().CoreV1().Nodes().UpdateStatus(ctx, node, metav1.UpdateOptions{})
			return err
		})
	}
	port := nodePortOf(serviceOf(t, s, a.Pod))
	external(corev1.NodeAddress{Type: corev1.NodeExternalIP, Address: "203.0.113.9"})
	c.becomes(t, a.ID, at("203.0.113.9:"+port))
	external()
	if a = c.becomes(t, a.ID, at(a.Address)); a.Moves != 0 {
		t.Errorf("it moved: %+v", a)
	}
	c.end(t, a.ID)
}

// serviceDeleted: whoever deletes a Service has another one made; the session
// stays where it is, under another address.
func serviceDeleted(t *testing.T, s *stack.Stack) {
	c := camera{s, "connector"}
	a := c.create(t, `{"inference":"face-recognition"}`, true)
	old := serviceOf(t, s, a.Pod)
	if err := s.Client().CoreV1().Services(stack.SessionNamespace).Delete(t.Context(), old.Name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	replaced(t, s, c, a, old)
}

// serviceChanged: a Service that somebody points elsewhere is replaced.
func serviceChanged(t *testing.T, s *stack.Stack) {
	c := camera{s, "connector"}
	a := c.create(t, `{"inference":"face-recognition"}`, true)
	old := serviceOf(t, s, a.Pod)
	if said, err := s.Kubectl(t.Context(), "patch", "service", "-n", stack.SessionNamespace, old.Name, "--type=merge", "-p", `{"spec":{"selector":{"app":"other"}}}`); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	replaced(t, s, c, a, old)
}

// replaced waits until a session's server has another Service, and ends it.
func replaced(t *testing.T, s *stack.Stack, c camera, a sessionAnswer, old corev1.Service) {
	t.Helper()
	eventually(t, func(ctx context.Context) error {
		if now := serviceOf(t, s, a.Pod); now.UID == old.UID {
			return errors.New("the Service is the same")
		}
		return nil
	})
	now := c.becomes(t, a.ID, at(strings.Split(a.Address, ":")[0]+":"+nodePortOf(serviceOf(t, s, a.Pod))))
	if now.Pod != a.Pod || now.Moves != 0 {
		t.Errorf("it was %+v and is %+v, want it where it was", a, now)
	}
	c.end(t, a.ID)
}

// killedBeforeService: a quota holds up the Service of a server that is there,
// the session says that, the connector is killed, and the next one creates the
// Service that is missing.
func killedBeforeService(t *testing.T, s *stack.Stack) {
	quotas := s.Client().CoreV1().ResourceQuotas(stack.SessionNamespace)
	quota := &corev1.ResourceQuota{
		ObjectMeta: metav1.ObjectMeta{Name: "no-services"},
		Spec:       corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{corev1.ResourceServices: resource.MustParse("0")}},
	}
	if _, err := quotas.Create(t.Context(), quota, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	c := camera{s, "connector"}
	a := c.create(t, `{"inference":"object-detection"}`, false)
	c.becomes(t, a.ID, func(a sessionAnswer) error {
		if a.State != "waiting" || !strings.Contains(a.Reason, "no-services") {
			return fmt.Errorf("it does not say which quota is in the way: %+v", a)
		}
		return nil
	})
	eventually(t, func(ctx context.Context) error {
		said, err := s.Kubectl(ctx, "get", "events", "-A", "--field-selector=reason=CannotServe", "-o=jsonpath={.items[*].note}{.items[*].message}")
		if err == nil && !strings.Contains(said, "no-services") {
			err = fmt.Errorf("no Event of the profile names the quota: %s", said)
		}
		return err
	})
	pods, err := servers(t.Context(), s)
	if err != nil || len(pods) != 1 {
		t.Fatalf("%d pods, %v", len(pods), err)
	}
	s.Process("connector").Kill()
	if err := quotas.Delete(t.Context(), quota.Name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	if all, err := services(t.Context(), s); err != nil || len(all) > 0 {
		t.Fatalf("%d Services before the connector is started again, %v", len(all), err)
	}
	nodePort(t, s)
	if a = c.becomes(t, a.ID, served); a.Pod != pods[0].Name {
		t.Errorf("it is served by %s, want %s, which was there", a.Pod, pods[0].Name)
	}
	serviceOf(t, s, a.Pod)
	c.end(t, a.ID)
}
