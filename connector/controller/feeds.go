package controller

import (
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/resourceversion"

	"heteroaccel.io/connector/session"
	"heteroaccel.io/pkg/kube"
)

// feeds are the watches of the namespace, and that of the nodes.
type feeds struct {
	leases   *kube.Feed[*coordinationv1.Lease]
	pods     *kube.Feed[*corev1.Pod]
	services *kube.Feed[*corev1.Service]
	nodes    *kube.Feed[*corev1.Node]
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
	return f
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
