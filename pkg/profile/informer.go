package profile

import (
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/client-go/tools/cache"

	"heteroaccel.io/pkg/profile/v1alpha1"
)

// resync is how often handlers that ask for it get every profile again, so that
// they retry what failed.
const resync = 10 * time.Second

// NewInformer returns an informer of all profiles, not yet running. It drops
// managed fields.
func NewInformer(c *Client) (cache.SharedIndexInformer, error) {
	informer := cache.NewSharedIndexInformer(c.ListWatch(), &v1alpha1.InferenceProfile{}, resync, cache.Indexers{})
	if err := informer.SetTransform(dropManagedFields); err != nil {
		return nil, fmt.Errorf("set up the informer of InferenceProfiles: %w", err)
	}
	return informer, nil
}

func dropManagedFields(obj any) (any, error) {
	if m, err := meta.Accessor(obj); err == nil {
		m.SetManagedFields(nil)
	}
	return obj, nil
}

// Handler updates the store with the events of an informer of profiles. A profile
// that cannot be used is removed from the store, in its earlier form too; Invalid
// says why, and so does report, which may be nil.
func (s *Store) Handler(report func(error)) cache.ResourceEventHandler {
	set := func(obj any) {
		in, ok := obj.(*v1alpha1.InferenceProfile)
		if !ok {
			return
		}
		p, err := New(in)
		if err != nil {
			s.SetInvalid(in.Name, err)
			if report != nil {
				report(err)
			}
			return
		}
		s.Set(p)
	}
	return cache.ResourceEventHandlerFuncs{
		AddFunc:    set,
		UpdateFunc: func(_, obj any) { set(obj) },
		DeleteFunc: func(obj any) {
			// The key of a cluster-scoped object is its name.
			if name, err := cache.DeletionHandlingObjectToName(obj); err == nil {
				s.Delete(name.Name)
			}
		},
	}
}
