package controller

import (
	"context"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"

	"heteroaccel.io/connector/session"
	"heteroaccel.io/pkg/kube"
)

// feeds are the watches of the namespace.
type feeds struct{ leases, pods *kube.Feed }

func newFeeds(k *Controller) feeds {
	leases, pods := k.Client.CoordinationV1().Leases(k.Namespace), k.Client.CoreV1().Pods(k.Namespace)
	return feeds{
		leases: kube.NewFeed("sessions", &cache.ListWatch{
			ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
				o.LabelSelector = session.Label
				return leases.List(ctx, o)
			},
			WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
				o.LabelSelector = session.Label
				return leases.Watch(ctx, o)
			},
		}, &coordinationv1.Lease{},
			func(o runtime.Object) error { k.setLease(o.(*coordinationv1.Lease)); return nil },
			func(n types.NamespacedName) { k.removeLease(n.Name) }, unmanaged),
		pods: kube.NewFeed("servers", &cache.ListWatch{
			ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
				o.LabelSelector = session.Label + "=" + session.LabelServer
				return pods.List(ctx, o)
			},
			WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
				o.LabelSelector = session.Label + "=" + session.LabelServer
				return pods.Watch(ctx, o)
			},
		}, &corev1.Pod{},
			func(o runtime.Object) error { k.setPod(o.(*corev1.Pod)); return nil },
			func(n types.NamespacedName) { k.removePod(n.Name) }, unmanaged),
	}
}

// unmanaged takes off what nobody here reads.
func unmanaged(obj any) (any, error) {
	if m, err := meta.Accessor(obj); err == nil {
		m.SetManagedFields(nil)
	}
	return obj, nil
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
