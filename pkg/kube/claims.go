package kube

import (
	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/client-go/tools/cache"
)

// WatchClaims adds a feed of the ResourceClaims of all namespaces, which only whoever
// binds pods late needs; call it before Run.
func (f *Feeds) WatchClaims() *Feed[*resourcev1.ResourceClaim] {
	lw := cache.NewListWatchFromClient(f.client.ResourceV1().RESTClient(), "resourceclaims", corev1.NamespaceAll, fields.Everything())
	feed := newFeed("resourceclaims", lw, &resourcev1.ResourceClaim{}, itself[*resourcev1.ResourceClaim], reduceResourceClaim)
	f.add(feed)
	return feed
}

// reduceResourceClaim removes what nobody reads: who wrote which field, and what drivers
// report of their devices.
func reduceResourceClaim(o any) (any, error) {
	if c, ok := o.(*resourcev1.ResourceClaim); ok {
		c.ManagedFields, c.Annotations, c.Labels, c.Status.Devices = nil, nil, nil, nil
	}
	return o, nil
}
