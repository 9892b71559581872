package deploy_test

import (
	"slices"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
)

// TestConnector: with the component in connector/ it runs, and may write pods,
// Services and Leases in the namespace of the sessions alone.
func TestConnector(t *testing.T) {
	running, namespaces := false, map[string]bool{}
	for _, obj := range decode(t, render(t, "testdata/connector")) {
		switch o := obj.(type) {
		case *appsv1.Deployment:
			if o.Name == "heteroaccel-connector" {
				running = true
				if args := o.Spec.Template.Spec.Containers[0].Args; !slices.Contains(args, "--session-namespace=heteroaccel-sessions") {
					t.Errorf("it runs with %v", args)
				}
			}
		case *corev1.Namespace:
			namespaces[o.Name] = true
		case *rbacv1.Role:
			if o.Name != "heteroaccel-connector" || o.Namespace == "heteroaccel-sessions" {
				continue
			}
			for _, r := range o.Rules {
				if slices.Contains(r.Resources, "pods") || slices.Contains(r.Resources, "services") {
					t.Errorf("it has rights over %v of %s: %v", r.Resources, o.Namespace, r.Verbs)
				}
			}
		case *rbacv1.ClusterRole:
			if o.Name != "heteroaccel-connector" {
				continue
			}
			for _, r := range o.Rules {
				if slices.Contains(r.Resources, "pods") || slices.Contains(r.Resources, "leases") || slices.Contains(r.Resources, "services") || slices.Contains(r.Resources, "secrets") {
					t.Errorf("it may %v %v in every namespace", r.Verbs, r.Resources)
				}
			}
		}
	}
	if !running || !namespaces["heteroaccel-sessions"] {
		t.Errorf("the connector is there: %v; namespaces %v", running, namespaces)
	}
}

// TestConnectorNode: with the component in connector-node/ there is one on each
// node, beside the Deployment and with the same rights, that knows its node and
// is given the requests of that node's clients alone.
func TestConnectorNode(t *testing.T) {
	var objects []any
	for _, o := range decode(t, render(t, "testdata/connector-node")) {
		objects = append(objects, o)
	}
	plain, service := false, false
	var daemon *appsv1.DaemonSet
	for _, obj := range objects {
		switch o := obj.(type) {
		case *appsv1.Deployment:
			plain = plain || o.Name == "heteroaccel-connector"
		case *appsv1.DaemonSet:
			if o.Name == "heteroaccel-connector-node" {
				daemon = o
			}
		case *corev1.Service:
			switch p := o.Spec.InternalTrafficPolicy; o.Name {
			case "heteroaccel-connector-node":
				service = p != nil && *p == corev1.ServiceInternalTrafficPolicyLocal && o.Spec.Type == corev1.ServiceTypeNodePort &&
					o.Spec.ExternalTrafficPolicy == corev1.ServiceExternalTrafficPolicyLocal && o.Spec.Ports[0].NodePort != 0
			case "heteroaccel-connector":
				if p != nil || o.Spec.Selector["app.kubernetes.io/name"] != "heteroaccel-connector" {
					t.Errorf("the Service of the Deployment is %+v", o.Spec)
				}
			}
		}
	}
	if !plain || !service || daemon == nil {
		t.Fatalf("Deployment %v, Service of the own node %v, DaemonSet %v", plain, service, daemon)
	}
	pod := daemon.Spec.Template.Spec
	if pod.ServiceAccountName != "heteroaccel-connector" {
		t.Errorf("it has the rights of %s", pod.ServiceAccountName)
	}
	c := pod.Containers[0]
	if !slices.ContainsFunc(c.Env, func(e corev1.EnvVar) bool {
		return e.Name == "NODE_NAME" && e.ValueFrom != nil && e.ValueFrom.FieldRef != nil && e.ValueFrom.FieldRef.FieldPath == "spec.nodeName"
	}) {
		t.Errorf("it does not know its node: %v", c.Env)
	}
	for _, arg := range c.Args {
		if arg == "--leader-elect=false" {
			t.Error("each would decide for itself")
		}
	}
}
