package profile

import (
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/client-go/tools/cache"

	"heteroaccel.io/pkg/profile/v1alpha1"
)

// resync is how often handlers that ask for it are shown every profile again,
// so that what failed once is tried again.
const resync = 10 * time.Second

// NewInformer returns an informer of all profiles, not yet running. What it
// keeps has no managed fields.
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

// Handler keeps the store as the informer it is added to sees the API server.
// A profile that cannot be used is absent from the store, in its earlier form
// too; the store knows why, and report, which may be nil, is told.
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
