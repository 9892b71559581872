package e2e

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"heteroaccel.io/e2e/stack"
)

// reachedBy is a profile, less its name, the way that its servers are reached
// and their port.
const reachedBy = `
apiVersion: heteroaccel.io/v1alpha1
kind: InferenceProfile
metadata: {name: %s}
spec:
  serverAddress: %s
  template:
    spec:
      containers:
      - name: inference
        image: heteroaccel/reached
        ports: [%s]
  variants:
  - {accelerator: GPU, image: heteroaccel/reached, limits: {gpu.intel.com/i915: "1"}}
`

// askFor creates a profile and asks the connector for it until it is known. It
// returns the first answer that is not that it is unknown.
func (c camera) askFor(t *testing.T, inference, way, port string, header ...string) (code int, a sessionAnswer, refusal error) {
	t.Helper()
	if said, err := c.s.KubectlInput(t.Context(), fmt.Sprintf(reachedBy, inference, way, port), "create", "-f", "-"); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	eventually(t, func(ctx context.Context) error {
		code, a, refusal = c.ask(ctx, http.MethodPost, "/v1/sessions", fmt.Sprintf(`{"inference":%q}`, inference), header...)
		if code == http.StatusNotFound {
			return refusal
		}
		return nil
	})
	return code, a, refusal
}

// reachByLoadBalancer: the session is served once the cloud's controller, which
// is the test here, has written the address.
func reachByLoadBalancer(t *testing.T, s *stack.Stack) {
	c := camera{s, "connector"}
	_, a, err := c.askFor(t, "balanced", "load-balancer", "{containerPort: 8080}")
	if err != nil {
		t.Fatal(err)
	}
	c.becomes(t, a.ID, func(a sessionAnswer) error {
		if a.State != "waiting" || !strings.Contains(a.Reason, "its load balancer has no address yet") {
			return fmt.Errorf("it does not wait for its load balancer: %+v", a)
		}
		return nil
	})
	var all []corev1.Service
	eventually(t, func(ctx context.Context) (err error) { // it is said to have no address before it is there
		all, err = services(ctx, s)
		if err == nil && (len(all) != 1 || all[0].Spec.Type != corev1.ServiceTypeLoadBalancer) {
			err = fmt.Errorf("%+v: want one Service for a load balancer", all)
		}
		return err
	})
	for _, ingress := range []struct{ json, host string }{{`{"ip":"198.51.100.4"}`, "198.51.100.4"}, {`{"hostname":"lb.example"}`, "lb.example"}} {
		patch := fmt.Appendf(nil, `{"status":{"loadBalancer":{"ingress":[%s]}}}`, ingress.json)
		if _, err := s.Client().CoreV1().Services(stack.SessionNamespace).Patch(t.Context(), all[0].Name, types.MergePatchType, patch, metav1.PatchOptions{}, "status"); err != nil {
			t.Fatal(err)
		}
		c.becomes(t, a.ID, at(ingress.host+":8080"))
	}
	c.end(t, a.ID)
}

// reachByHostPort: two servers cannot have the same port of one node, and each
// is given by its node's address and that port. There is no Service.
func reachByHostPort(t *testing.T, s *stack.Stack) {
	c := camera{s, "connector"}
	code, _, err := c.askFor(t, "without-host-port", "host-port", "{containerPort: 8080}")
	if code != http.StatusConflict || !strings.Contains(err.Error(), "has no hostPort") {
		t.Errorf("without a hostPort: %d, %v", code, err)
	}
	enforces(t, s, "privileged") // baseline allows no port of the node
	defer enforces(t, s, "baseline")
	_, first, err := c.askFor(t, "by-host-port", "host-port", "{containerPort: 8080, hostPort: 18080}", "Prefer", "wait=60")
	if err != nil {
		t.Fatal(err)
	}
	second := c.create(t, `{"inference":"by-host-port"}`, true)
	if first.Node == second.Node {
		t.Errorf("both are on %s", first.Node)
	}
	if all, err := services(t.Context(), s); err != nil || len(all) > 0 {
		t.Errorf("%d Services for host ports, %v", len(all), err)
	}
	for _, a := range []sessionAnswer{first, second} {
		if !strings.HasSuffix(a.Address, ":18080") {
			t.Errorf("%+v, want port 18080", a)
		}
		c.end(t, a.ID)
	}
}
