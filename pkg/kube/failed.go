package kube

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
)

// failedCreate is the reason of the Events with which Kubernetes' controllers
// report that the API server refused to create a pod of theirs, in its words
// (FailedCreatePodReason in pkg/controller of Kubernetes).
const failedCreate = "FailedCreate"

// FailedCreates tells of every pod that the API server refused a controller,
// by the controller's UID.
func FailedCreates(client kubernetes.Interface, tell func(namespace string, controller types.UID, message string)) *Feed {
	lw := cache.NewListWatchFromClient(client.CoreV1().RESTClient(), "events", corev1.NamespaceAll, fields.OneTermEqualSelector("reason", failedCreate))
	return NewFeed("events", lw, &corev1.Event{},
		func(o runtime.Object) error {
			e := o.(*corev1.Event)
			tell(e.InvolvedObject.Namespace, e.InvolvedObject.UID, e.Message)
			return nil
		},
		func(types.NamespacedName) {}, nil)
}
