package controller

import (
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/resourceversion"

	"heteroaccel.io/connector/session"
	"heteroaccel.io/pkg/kube"
)

// feeds are the watches of the namespace.
type feeds struct {
	leases *kube.Feed[*coordinationv1.Lease]
	pods   *kube.Feed[*corev1.Pod]
}

func newFeeds(k *Controller) feeds {
	f := feeds{
		leases: kube.Labelled(k.Client.CoordinationV1().RESTClient(), "leases", k.Namespace, session.Label, &coordinationv1.Lease{}),
		pods:   kube.Labelled(k.Client.CoreV1().RESTClient(), "pods", k.Namespace, session.Label+"="+session.LabelServer, &corev1.Pod{}),
	}
	f.leases.Register(k.setLease, func(n types.NamespacedName) { k.removeLease(n.Name) })
	f.pods.Register(k.setPod, func(n types.NamespacedName) { k.removePod(n.Name) })
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
