package kube

import (
	"context"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/rs/zerolog"
	resourcev1 "k8s.io/api/resource/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	apiwatch "k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"

	"heteroaccel.io/pkg/dra"
	"heteroaccel.io/pkg/inventory"
)

// WatchDRA feeds what the API server has of Dynamic Resource Allocation to an inventory,
// which only whoever binds pods late, or shows such pods, needs; call it before Run.
//
// An API server without one of the types counts as one that has no object of it, and
// so does one that our account may not list: the rest goes on, and neither is waited
// for. What is wrong with a resource is logged once, and that it can be listed again.
// DeviceTaintRules that the API server does not know are none, and nothing is wrong.
// What is returned is the feed of the ResourceClaims, for further consumers.
func (f *Feeds) WatchDRA(inv *inventory.Inventory, log zerolog.Logger) *Feed[*resourcev1.ResourceClaim] {
	store := dra.New(inv, func(err error) {
		log.Error().Err(err).Msg("a DeviceClass cannot be evaluated: it has no devices here")
	})
	return f.watchDRA(store, optional{f, f.client.ResourceV1().RESTClient(), unavailableInterval, func(resource string, err error) {
		if err != nil {
			log.Error().Err(err).Msg("devices cannot be seen")
		} else {
			log.Info().Str("resource", resource).Msg("seen again")
		}
	}})
}

func (f *Feeds) watchDRA(store *dra.Store, of optional) *Feed[*resourcev1.ResourceClaim] {
	classes := watchOptional(of, "deviceclasses", &resourcev1.DeviceClass{}, dropManagedFields[*resourcev1.DeviceClass])
	classes.Register(store.SetClass, func(n types.NamespacedName) { store.DeleteClass(n.Name) })

	slices := watchOptional(of, "resourceslices", &resourcev1.ResourceSlice{}, dropManagedFields[*resourcev1.ResourceSlice])
	slices.Register(store.SetSlice, func(n types.NamespacedName) { store.DeleteSlice(n.Name) })

	claims := watchOptional(of, "resourceclaims", &resourcev1.ResourceClaim{}, reduceClaimed)
	claims.Register(store.SetClaim, func(n types.NamespacedName) { store.DeleteClaim(n.Namespace, n.Name) })

	rules := watchOptional(of, taintRules, &resourcev1.DeviceTaintRule{}, dropManagedFields[*resourcev1.DeviceTaintRule])
	rules.Register(store.SetTaintRule, func(n types.NamespacedName) { store.DeleteTaintRule(n.Name) })
	return claims
}

// taintRules are younger than the other types of their group.
const taintRules = "devicetaintrules"

// optional is what feeds have in common of types that the API server may not know, or
// that we may not list. They are empty then, and listed again after an interval.
//
// unavailable is called with what is wrong with a resource, a sentence that says what to
// do, once; and with nil once it can be listed again. It is called by several goroutines
// and must be quick.
type optional struct {
	feeds       *Feeds
	client      rest.Interface
	interval    time.Duration
	unavailable func(resource string, err error)
}

// unavailableInterval is short because a reflector's own pauses grow up to a minute.
const unavailableInterval = 5 * time.Second

// watchOptional adds a feed of such a type, in all namespaces.
func watchOptional[T runtime.Object](of optional, resource string, example T, reduce cache.TransformFunc) *Feed[T] {
	all := cache.NewListWatchFromClient(of.client, resource, metav1.NamespaceAll, fields.Everything())
	a := &availability{resource: resource, changed: of.unavailable}
	var feed *Feed[T]
	lw := cache.ToListWatcherWithWatchListSemantics(&cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			list, err := all.ListWithContext(ctx, o)
			if a.listed(ctx, err) {
				return list, err
			}
			return &metav1.List{}, nil
		},
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (apiwatch.Interface, error) {
			if streams := o.SendInitialEvents != nil && *o.SendInitialEvents; streams || a.listable() {
				return all.WatchWithContext(ctx, o)
			}
			select {
			case <-ctx.Done():
			case <-time.After(of.interval):
				feed.Relist()
				<-ctx.Done()
			}
			return nil, ctx.Err()
		},
	}, of.client)
	feed = newFeed(resource, lw, example, itself[T], reduce)
	of.feeds.add(feed)
	return feed
}

// availability is whether a resource can be listed. A list that was given up may answer
// while the next one is asked for.
type availability struct {
	resource string
	changed  func(resource string, err error)

	mu    sync.Mutex
	wrong error
	said  string
}

// listed takes the result of a list, and reports whether it is the reflector's: a list,
// or an error after which it tries again.
func (a *availability) listed(ctx context.Context, err error) bool {
	wrong := unlistable(a.resource, err)
	if ctx.Err() != nil || err != nil && wrong == nil {
		return true
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.wrong = wrong
	said := ""
	if wrong != nil && (a.resource != taintRules || !apierrors.IsNotFound(err)) {
		said = wrong.Error()
	}
	if said != a.said {
		a.said = said
		a.changed(a.resource, wrong)
	}
	return wrong == nil
}

func (a *availability) listable() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.wrong == nil
}

// unlistable is what is wrong with a resource of which a list had an error, nil
// where asking again may help.
func unlistable(resource string, err error) error {
	switch {
	case apierrors.IsNotFound(err):
		return fmt.Errorf("the API server does not serve %s of %s: Kubernetes 1.34 and newer do; bind pods early on older ones", resource, resourcev1.SchemeGroupVersion)
	case apierrors.IsForbidden(err):
		return fmt.Errorf("%w: its devices do not count; grant get, list and watch on %s.%s to this account, or bind pods early", err, resource, resourcev1.GroupName)
	}
	return nil
}

// reduceClaimed keeps of a claim what was allocated and for whom, which object controls it
// and the name of its one request: what else anybody may write of it, but for one
// annotation, is dropped.
func reduceClaimed(obj any) (any, error) {
	c, ok := obj.(*resourcev1.ResourceClaim)
	if !ok {
		return obj, nil
	}
	maps.DeleteFunc(c.Annotations, func(name, _ string) bool { return name != resourcev1.ExtendedResourceClaimAnnotation })
	reduced := &resourcev1.ResourceClaim{
		ObjectMeta: metav1.ObjectMeta{Namespace: c.Namespace, Name: c.Name, UID: c.UID, ResourceVersion: c.ResourceVersion, Annotations: c.Annotations},
	}
	if o := metav1.GetControllerOf(c); o != nil {
		reduced.OwnerReferences = []metav1.OwnerReference{*o}
	}
	if r := c.Spec.Devices.Requests; len(r) == 1 {
		reduced.Spec.Devices.Requests = []resourcev1.DeviceRequest{{Name: r[0].Name}}
	}
	if a := c.Status.Allocation; a != nil {
		reduced.Status.ReservedFor = c.Status.ReservedFor
		reduced.Status.Allocation = &resourcev1.AllocationResult{Devices: resourcev1.DeviceAllocationResult{Results: a.Devices.Results}}
	}
	return reduced, nil
}
