package deploy_test

import (
	"slices"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// TestConnectorGateway: with the component in connector-gateway/ every connector
// has a Gateway, and rights to that one and to the HTTPRoutes of sessions alone;
// without it, none to either.
func TestConnectorGateway(t *testing.T) {
	for overlay, with := range map[string]bool{"testdata/connector-node": false, "testdata/connector-gateway": true} {
		flags, rights := 0, map[string]rbacv1.PolicyRule{}
		for _, obj := range decode(t, render(t, overlay)) {
			switch o := obj.(type) {
			case *appsv1.Deployment:
				if o.Name == "heteroaccel-connector" && slices.Contains(o.Spec.Template.Spec.Containers[0].Args, "--gateway=heteroaccel-system/heteroaccel") {
					flags++
				}
			case *appsv1.DaemonSet:
				if o.Name == "heteroaccel-connector-node" && slices.Contains(o.Spec.Template.Spec.Containers[0].Args, "--gateway=heteroaccel-system/heteroaccel") {
					flags++
				}
			case *rbacv1.Role:
				for _, r := range o.Rules {
					if slices.Contains(r.APIGroups, gatewayv1.GroupName) {
						rights[o.Namespace] = r
					}
				}
			case *rbacv1.ClusterRole:
				for _, r := range o.Rules {
					if slices.Contains(r.APIGroups, gatewayv1.GroupName) {
						t.Errorf("%s: %s has rights to %v in every namespace", overlay, o.Name, r.Resources)
					}
				}
			}
		}
		if !with {
			if flags+len(rights) > 0 {
				t.Errorf("%s: %d connectors have a Gateway, with the rights %v", overlay, flags, rights)
			}
			continue
		}
		routes, gateway := rights["heteroaccel-sessions"], rights["heteroaccel-system"]
		if flags != 2 || len(rights) != 2 || !slices.Equal(routes.Resources, []string{"httproutes"}) ||
			!slices.Equal(gateway.Resources, []string{"gateways"}) || !slices.Equal(gateway.ResourceNames, []string{"heteroaccel"}) || slices.Contains(gateway.Verbs, "update") {
			t.Errorf("%s: %d connectors have a Gateway, with the rights %v", overlay, flags, rights)
		}
	}
}
