package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"heteroaccel.io/connector/gatewayapi"
	"heteroaccel.io/e2e/gateway"
	"heteroaccel.io/e2e/stack"
)

// theGateway is the flag that names the Gateway of the manifests.
const theGateway = "--gateway=heteroaccel-system/heteroaccel"

// gatewayAPI checks that a connector with a Gateway does not run where there is no
// Gateway API, and installs that with the rights to it.
func gatewayAPI(t *testing.T, s *stack.Stack) {
	t.Helper()
	const early = "connector-early"
	if err := s.StartConnector(t.Context(), early, theGateway); err == nil {
		t.Error("it runs with a Gateway on a cluster without the Gateway API")
	}
	if log, err := os.ReadFile(s.Process(early).Log()); err != nil || !strings.Contains(string(log), "this cluster has no Gateway API (gateway.networking.k8s.io/v1): install its CRDs") {
		t.Errorf("its log does not tell why, %v:\n%s", err, log)
	}
	crds, err := gateway.CRDs(t.Context(), "gateways", "httproutes")
	if err != nil {
		t.Fatal(err)
	}
	apply := []string{"apply", "--server-side"}
	for _, file := range append(crds, "../deploy/connector-gateway/rbac.yaml", "../deploy/connector-gateway/policy.yaml") {
		apply = append(apply, "-f", file)
	}
	if _, err := s.Kubectl(t.Context(), apply...); err != nil {
		t.Fatal(err)
	}
	if err := s.Established(t.Context(), "gateways.gateway.networking.k8s.io", "httproutes.gateway.networking.k8s.io"); err != nil {
		t.Fatal(err)
	}
}

// reachByGateway: the test is the Gateway's controller, and writes what the
// specification has it write.
func reachByGateway(t *testing.T, s *stack.Stack) {
	by := controllerOf(t, s)
	c := camera{s, "connector"}
	_, a, err := c.askFor(t, "by-gateway", "gateway", "{containerPort: 8080}")
	if err != nil {
		t.Fatal(err)
	}
	c.becomes(t, a.ID, waitsAndSays("Gateway heteroaccel-system/heteroaccel is not there"))
	by.create(t)
	c.becomes(t, a.ID, waitsAndSays("the controller of Gateway heteroaccel-system/heteroaccel has said nothing of its HTTPRoute yet"))
	route := by.route(t, "")
	by.say(t, route, metav1.Condition{Type: "Accepted", Status: metav1.ConditionFalse, Reason: "NotAllowedByListeners", Message: "no listener allows its namespace"})
	a = c.becomes(t, a.ID, waitsAndSays("refuses its HTTPRoute: Accepted is false, NotAllowedByListeners: no listener allows its namespace"))
	eventually(t, func(ctx context.Context) error {
		said, err := s.Kubectl(ctx, "get", "events", "-A", "--field-selector=reason=CannotServe", "-o=jsonpath={.items[*].note}{.items[*].message}")
		if err == nil && !strings.Contains(said, "no listener allows its namespace") {
			err = fmt.Errorf("no Event of the profile says why: %s", said)
		}
		return err
	})
	resolved := metav1.Condition{Type: "ResolvedRefs", Status: metav1.ConditionTrue, Reason: "ResolvedRefs"}
	by.say(t, route, metav1.Condition{Type: "Accepted", Status: metav1.ConditionTrue, Reason: "Accepted"}, resolved)
	c.becomes(t, a.ID, waitsAndSays("Gateway heteroaccel-system/heteroaccel has no address yet"))
	by.address(t, "198.51.100.9")
	path := strings.TrimPrefix(route.Name, "svc-")
	a = c.becomes(t, a.ID, at("198.51.100.9:80/sessions/"+path))
	if owner := route.OwnerReferences; len(owner) != 1 || owner[0].Name != a.Pod || a.Pod != path {
		t.Errorf("the route of %+v is owned by %v", a, owner)
	}
	// Somebody points it elsewhere: it is replaced, and the session is where it was.
	if said, err := s.Kubectl(t.Context(), "patch", "httproute", "-n", stack.SessionNamespace, route.Name, "--type=json", "-p",
		`[{"op":"replace","path":"/spec/rules/0/backendRefs/0/name","value":"other"}]`); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	next := by.route(t, route.UID)
	by.say(t, next, metav1.Condition{Type: "Accepted", Status: metav1.ConditionTrue, Reason: "Accepted"}, resolved)
	if now := c.becomes(t, a.ID, at(a.Address)); now.Pod != a.Pod || now.Moves != 0 {
		t.Errorf("it was %+v and is %+v, want it where it was", a, now)
	}
	routesToWrite(t, s, next)
	c.end(t, a.ID)
	by.gone(t)
}

// routesToWrite: of what its rights let it create, the connector's account creates
// routes to servers alone.
func routesToWrite(t *testing.T, s *stack.Stack, of *gatewayv1.HTTPRoute) {
	client, err := gatewayapi.New(s.RESTAs("heteroaccel-connector"))
	if err != nil {
		t.Fatal(err)
	}
	type spec = gatewayv1.HTTPRouteSpec
	for name, c := range map[string]struct {
		change func(*spec)
		want   string
	}{
		"its own":        {func(*spec) {}, ""},
		"another's path": {func(r *spec) { r.Rules[0].Matches[0].Path.Value = new("/sessions/other") }, "no HTTPRoute for a path but that"},
		"all paths":      {func(r *spec) { r.Rules[0].Matches = nil }, "no HTTPRoute for a path but that"},
		"an exact path": {func(r *spec) {
			r.Rules[0].Matches[0].Path.Type = new(gatewayv1.PathMatchExact)
			r.Rules[0].Filters = nil // the Gateway API allows these for prefixes alone
		}, "no HTTPRoute for a path but that"},
		"more rules":        {func(r *spec) { r.Rules = append(r.Rules, r.Rules[0]) }, "no HTTPRoute for a path but that"},
		"another Service":   {func(r *spec) { r.Rules[0].BackendRefs[0].Name = "other" }, "to anything but the Service"},
		"another namespace": {func(r *spec) { r.Rules[0].BackendRefs[0].Namespace = new(gatewayv1.Namespace("default")) }, "to anything but the Service"},
		"a mirror": {func(r *spec) {
			r.Rules[0].Filters = []gatewayv1.HTTPRouteFilter{{Type: gatewayv1.HTTPRouteFilterRequestMirror, RequestMirror: &gatewayv1.HTTPRequestMirrorFilter{
				BackendRef: gatewayv1.BackendObjectReference{Name: "other", Port: new(gatewayv1.PortNumber(80))},
			}}}
		}, "to anything but the Service"},
		"two Gateways": {func(r *spec) {
			second := *r.ParentRefs[0].DeepCopy()
			second.Name = "other"
			r.ParentRefs = append(r.ParentRefs, second)
		}, "to one Gateway each"},
	} {
		route := &gatewayv1.HTTPRoute{ObjectMeta: named(stack.SessionNamespace, "svc-of-nobody"), Spec: *of.Spec.DeepCopy()}
		route.Spec.Rules[0].Matches[0].Path.Value = new("/sessions/of-nobody")
		route.Spec.Rules[0].BackendRefs[0].Name = gatewayv1.ObjectName(route.Name)
		c.change(&route.Spec)
		_, err := client.Routes(stack.SessionNamespace).Create(t.Context(), route, dry)
		judged(t, "HTTPRoute: "+name, err, c.want)
	}
}

// waitsAndSays is an error unless a session waits and says for what.
func waitsAndSays(what string) func(sessionAnswer) error {
	return func(a sessionAnswer) error {
		if a.State != "waiting" || !strings.Contains(a.Reason, what) {
			return fmt.Errorf("it does not wait and say %q: %+v", what, a)
		}
		return nil
	}
}

// gatewayController writes what the controller of the Gateway would.
type gatewayController struct {
	*gatewayapi.Client
}

func controllerOf(t *testing.T, s *stack.Stack) gatewayController {
	t.Helper()
	client, err := gatewayapi.New(s.REST())
	if err != nil {
		t.Fatal(err)
	}
	return gatewayController{client}
}

// create creates the Gateway.
func (g gatewayController) create(t *testing.T) {
	t.Helper()
	gw := &gatewayv1.Gateway{ObjectMeta: metav1.ObjectMeta{Namespace: stack.Namespace, Name: "heteroaccel"}}
	gw.Spec.GatewayClassName = "test"
	gw.Spec.Listeners = []gatewayv1.Listener{{Name: "http", Port: 80, Protocol: gatewayv1.HTTPProtocolType}}
	if err := g.REST().Post().Namespace(stack.Namespace).Resource("gateways").Body(gw).Do(t.Context()).Error(); err != nil {
		t.Fatal(err)
	}
}

// address writes the Gateway's address.
func (g gatewayController) address(t *testing.T, ip string) {
	t.Helper()
	patch := fmt.Appendf(nil, `{"status":{"addresses":[{"type":"IPAddress","value":%q}]}}`, ip)
	if err := g.REST().Patch(types.MergePatchType).Namespace(stack.Namespace).Resource("gateways").Name("heteroaccel").SubResource("status").Body(patch).Do(t.Context()).Error(); err != nil {
		t.Fatal(err)
	}
}

// route waits for the one route that there is, and that has not a uid.
func (g gatewayController) route(t *testing.T, not types.UID) (found *gatewayv1.HTTPRoute) {
	t.Helper()
	eventually(t, func(ctx context.Context) error {
		var list gatewayv1.HTTPRouteList
		if err := g.REST().Get().Namespace(stack.SessionNamespace).Resource("httproutes").Do(ctx).Into(&list); err != nil {
			return err
		}
		if len(list.Items) != 1 || list.Items[0].UID == not {
			return fmt.Errorf("%d routes, want another than %q", len(list.Items), not)
		}
		found = &list.Items[0]
		return nil
	})
	return found
}

// say writes the conditions of a route.
func (g gatewayController) say(t *testing.T, route *gatewayv1.HTTPRoute, conditions ...metav1.Condition) {
	t.Helper()
	p := gatewayv1.RouteParentStatus{ParentRef: route.Spec.ParentRefs[0], ControllerName: "example.com/test"}
	for _, c := range conditions {
		c.ObservedGeneration = route.Generation
		meta.SetStatusCondition(&p.Conditions, c)
	}
	parents, err := json.Marshal([]gatewayv1.RouteParentStatus{p})
	if err != nil {
		t.Fatal(err)
	}
	patch := fmt.Appendf(nil, `{"status":{"parents":%s}}`, parents)
	if err := g.REST().Patch(types.MergePatchType).Namespace(route.Namespace).Resource("httproutes").Name(route.Name).SubResource("status").Body(patch).Do(t.Context()).Error(); err != nil {
		t.Fatal(err)
	}
}

// gone waits until no route is left.
func (g gatewayController) gone(t *testing.T) {
	t.Helper()
	eventually(t, func(ctx context.Context) error {
		var list gatewayv1.HTTPRouteList
		err := g.REST().Get().Namespace(stack.SessionNamespace).Resource("httproutes").Do(ctx).Into(&list)
		switch {
		case apierrors.IsNotFound(err):
			return errors.New("the Gateway API has gone")
		case err == nil && len(list.Items) > 0:
			err = fmt.Errorf("%d routes are left", len(list.Items))
		}
		return err
	})
}
