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
