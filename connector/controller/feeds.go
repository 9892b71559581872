package controller

import (
	"context"
	"errors"
	"fmt"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"heteroaccel.io/connector/session"
	"heteroaccel.io/pkg/kube"
)

// feeds are the watches of the namespace, and that of the nodes.
type feeds struct {
	leases   *kube.Feed[*coordinationv1.Lease]
	pods     *kube.Feed[*corev1.Pod]
	services *kube.Feed[*corev1.Service]
	nodes    *kube.Feed[*corev1.Node]
	// routes and gateway are nil where no server is reached by a Gateway.
	routes  *kube.Feed[*gatewayv1.HTTPRoute]
	gateway *kube.Feed[*gatewayv1.Gateway]
}

func newFeeds(k *Controller) feeds {
	core := k.Client.CoreV1().RESTClient()
	f := feeds{
		leases:   kube.Labelled(k.Client.CoordinationV1().RESTClient(), "leases", k.Namespace, session.Label, &coordinationv1.Lease{}),
		pods:     kube.Labelled(core, "pods", k.Namespace, session.Label+"="+session.LabelServer, &corev1.Pod{}),
		services: kube.Labelled(core, "services", k.Namespace, session.Label+"="+session.LabelServer, &corev1.Service{}),
		nodes:    kube.Labelled(core, "nodes", metav1.NamespaceAll, "", &corev1.Node{}),
	}
	f.leases.Register(k.setLease, func(n types.NamespacedName) { k.removeLease(n.Name) })
	f.pods.Register(k.setPod, func(n types.NamespacedName) { k.removePod(n.Name) })
	f.services.Register(k.setService, func(n types.NamespacedName) { k.removeService(n.Name) })
	f.nodes.Register(func(n *corev1.Node) { k.setNode(n.Name, session.ExternalIP(n)) }, func(n types.NamespacedName) { k.setNode(n.Name, "") })
	if k.Gateway != nil {
		k.watchGateway(&f)
	}
	return f
}

// all are those that there are.
func (f *feeds) all() []interface{ Refresh(context.Context) error } {
	all := []interface{ Refresh(context.Context) error }{f.leases, f.pods, f.services, f.nodes}
	if f.routes != nil {
		all = append(all, f.routes, f.gateway)
	}
	return all
}

// gatewaySynced says what of the Gateway API has not been seen yet. The rights to
// it are in a component of their own, which may be missing.
func (f *feeds) gatewaySynced() error {
	if f.routes == nil {
		return nil
	}
	if err := errors.Join(f.routes.Synced(), f.gateway.Synced()); err != nil {
		return fmt.Errorf("%w: does the connector have the rights of deploy/connector-gateway?", err)
	}
	return nil
}

// newer reports whether a version of an object comes after another, which is ""
// for one that the API server has not shown.
func newer(version, than string) bool {
	if than == "" {
		return true
	}
	order, err := resourceversion.CompareResourceVersion(version, than)
	return err != nil || order > 0
}
