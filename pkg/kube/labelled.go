package kube

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
)

// Labelled returns a feed of the objects of one namespace that a label selector
// matches, without their managed fields. client is that of the resource's API
// group, and example an empty object of its type.
func Labelled[T interface {
	runtime.Object
	metav1.Object
}](client rest.Interface, resource, namespace, selector string, example T) *Feed[T] {
	lw := cache.NewFilteredListWatchFromClient(client, resource, namespace, func(o *metav1.ListOptions) { o.LabelSelector = selector })
	return newFeed(resource, lw, example, itself[T], dropManagedFields[T])
}

// Named returns a feed of one object, without its managed fields, for which the
// right to that one is enough. client is that of the resource's API group, and
// example an empty object of its type.
func Named[T interface {
	runtime.Object
	metav1.Object
}](client rest.Interface, resource string, name types.NamespacedName, example T) *Feed[T] {
	lw := cache.NewListWatchFromClient(client, resource, name.Namespace, fields.OneTermEqualSelector(metav1.ObjectNameField, name.Name))
	return newFeed(resource, lw, example, itself[T], dropManagedFields[T])
}

// dropManagedFields takes off who wrote which field.
func dropManagedFields[T metav1.Object](obj any) (any, error) {
	if o, ok := obj.(T); ok {
		o.SetManagedFields(nil)
	}
	return obj, nil
}
