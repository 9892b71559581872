package kube

import (
	"context"
	"errors"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"

	"heteroaccel.io/pkg/admission"
	"heteroaccel.io/pkg/inventory"
	"heteroaccel.io/pkg/namespaces"
	"heteroaccel.io/pkg/profile"
	"heteroaccel.io/pkg/profile/v1alpha1"
	"heteroaccel.io/pkg/quota"
	"heteroaccel.io/pkg/record"
)

// Feeds carry everything that we need of what the API server knows: nodes, pods
// and volumes to an inventory, profiles to a store, and each to whoever
// registers with its feed.
type Feeds struct {
	// Pods are the pods of all namespaces: those that never asked for us use
	// devices, cores and memory too.
	Pods *Feed[*PodEvent]
	// Profiles are the InferenceProfiles.
	Profiles *Feed[*v1alpha1.InferenceProfile]

	client kubernetes.Interface
	all    []runner
	// lists has one element after a list was consumed that freeMemory should know of.
	lists chan struct{}
}

// runner is a feed of any type.
type runner interface {
	Run(ctx context.Context) error
	Synced() error
	Refresh(ctx context.Context) error
	onList(do func())
}

// NewFeeds prepares the feeds of inv and profiles, which are their first
// consumers; Run starts them. keys verify which pods are ours: when others verify
// than before, relist Pods. unusable is called with what is wrong
// with a profile that no pod can ask for.
func NewFeeds(client kubernetes.Interface, profileClient *profile.Client, inv *inventory.Inventory, profiles *profile.Store, keys func() *record.Keys, unusable func(error)) *Feeds {
	f := &Feeds{client: client, lists: make(chan struct{}, 1)}
	nodes := watch(f, "nodes", &corev1.Node{}, fields.Everything(), nodeEvent, recordNode)
	nodes.Register(
		inv.SetNode,
		func(n types.NamespacedName) { inv.DeleteNode(n.Name) })

	f.Pods = watch(f, "pods", &corev1.Pod{}, fields.Everything(), podEvent(keys), recordPod(keys))
	f.Pods.Register(
		func(e *PodEvent) { e.PodChange = inv.SetPod(e.Record) },
		func(n types.NamespacedName) { inv.DeletePod(n.Namespace, n.Name) })

	claims := watch(f, "persistentvolumeclaims", &corev1.PersistentVolumeClaim{}, fields.Everything(), itself[*corev1.PersistentVolumeClaim], reduceClaim)
	claims.Register(
		func(c *corev1.PersistentVolumeClaim) { inv.SetVolumeClaim(c.Namespace, c.Name, c.Spec.VolumeName) },
		func(n types.NamespacedName) { inv.DeleteVolumeClaim(n.Namespace, n.Name) })

	volumes := watch(f, "persistentvolumes", &corev1.PersistentVolume{}, fields.Everything(), itself[*corev1.PersistentVolume], reduceVolume)
	volumes.Register(
		func(v *corev1.PersistentVolume) { inv.SetVolume(inventory.VolumeOf(v)) },
		func(n types.NamespacedName) { inv.DeleteVolume(n.Name) })

	f.Profiles = Profiles(profileClient, profiles, unusable)
	f.add(f.Profiles)
	return f
}

// Profiles returns the feed of the InferenceProfiles, whose first consumer is a
// store. unusable is called with what is wrong with a profile that no pod can ask
// for, and when the CRD is found to be missing.
func Profiles(client *profile.Client, profiles *profile.Store, unusable func(error)) *Feed[*v1alpha1.InferenceProfile] {
	var f *Feed[*v1alpha1.InferenceProfile]
	// Without a CRD there are no profiles, which is known for certain: whoever decides
	// can report it. It is called by the reflector, which waits for its answer.
	answered := func(err error) {
		switch missing := errors.Is(profiles.CRD(), profile.ErrNoCRD); {
		case errors.Is(err, profile.ErrNoCRD):
			if !missing {
				profiles.SetCRD(err)
				unusable(err)
			}
			_ = f.Replace(nil, "") // each time: whoever refreshes waits for it
		case err == nil && missing:
			profiles.SetCRD(nil)
		}
	}
	f = newFeed("InferenceProfiles", client.ListWatch(answered), &v1alpha1.InferenceProfile{}, profileEvent, nil)
	f.Register(
		func(in *v1alpha1.InferenceProfile) {
			if err := profiles.Put(in); err != nil {
				unusable(err)
			}
		},
		func(n types.NamespacedName) { profiles.Delete(n.Name) })
	return f
}

// profileEvent is a profile without a note of who wrote which of its fields, which
// nobody here needs.
func profileEvent(o runtime.Object) *v1alpha1.InferenceProfile {
	p := o.(*v1alpha1.InferenceProfile)
	p.ManagedFields = nil
	return p
}

// WatchQuotas feeds the ResourceQuotas to an inventory, which only whoever
// decides needs; call it before Run.
func (f *Feeds) WatchQuotas(inv *inventory.Inventory) {
	quotas := watch(f, "resourcequotas", &corev1.ResourceQuota{}, fields.Everything(), itself[*corev1.ResourceQuota], nil)
	quotas.Register(
		func(q *corev1.ResourceQuota) { inv.SetQuota(quota.Of(q)) },
		func(n types.NamespacedName) { inv.DeleteQuota(n.Namespace, n.Name) })
}

// WatchRules feeds the LimitRanges, what the namespaces' labels say of the security
// of pods, and which inferences they may use, which only whoever decides needs, and
// which namespaces there are to an inventory; call it before Run.
func (f *Feeds) WatchRules(rules *admission.Store, allowed *namespaces.Store, inv *inventory.Inventory) {
	ranges := watch(f, "limitranges", &corev1.LimitRange{}, fields.Everything(), itself[*corev1.LimitRange], nil)
	ranges.Register(
		func(r *corev1.LimitRange) { rules.SetLimitRange(admission.LimitRangeOf(r)) },
		func(n types.NamespacedName) { rules.DeleteLimitRange(n.Namespace, n.Name) })

	spaces := watch(f, "namespaces", &corev1.Namespace{}, fields.Everything(), itself[*corev1.Namespace], reduceNamespace)
	spaces.Register(
		func(ns *corev1.Namespace) { rules.SetNamespace(ns.Name, ns.Labels) },
		func(n types.NamespacedName) { rules.DeleteNamespace(n.Name) })
	spaces.Register(
		func(ns *corev1.Namespace) { inv.SetNamespace(ns.Name) },
		func(n types.NamespacedName) { inv.DeleteNamespace(n.Name) })
	spaces.Register(
		func(ns *corev1.Namespace) { allowed.Set(namespaces.Of(ns)) },
		func(n types.NamespacedName) { allowed.Delete(n.Name) })
}

// failedCreate is the reason of the Events with which Kubernetes' controllers
// report that the API server denied a pod of theirs, in its words
// (FailedCreatePodReason in pkg/controller of Kubernetes).
const failedCreate = "FailedCreate"

// FailedCreates returns a feed of the Events that report a pod which the API
// server denied its controller. It is not one of Feeds: nothing waits for it.
func FailedCreates(client kubernetes.Interface) *Feed[*corev1.Event] {
	return newFeed("events", listWatch(client, "events", fields.OneTermEqualSelector("reason", failedCreate)), &corev1.Event{}, itself[*corev1.Event], nil)
}

// watch adds a feed of a built-in type in all namespaces.
func watch[T any](f *Feeds, resource string, example runtime.Object, selector fields.Selector, event func(runtime.Object) T, reduce cache.TransformFunc) *Feed[T] {
	feed := newFeed(resource, listWatch(f.client, resource, selector), example, event, reduce)
	f.add(feed)
	return feed
}

func listWatch(client kubernetes.Interface, resource string, selector fields.Selector) cache.ListerWatcher {
	return cache.NewListWatchFromClient(client.CoreV1().RESTClient(), resource, corev1.NamespaceAll, selector)
}

func (f *Feeds) add(r runner) {
	r.onList(f.listed)
	f.all = append(f.all, r)
}

// Run feeds all consumers until ctx ends.
func (f *Feeds) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, feed := range f.all {
		group.Go(func() error { return feed.Run(ctx) })
	}
	group.Go(func() error { f.freeMemory(ctx); return nil })
	return group.Wait()
}

// Synced says which first lists are missing, nil when all have been consumed.
func (f *Feeds) Synced() error {
	var errs []error
	for _, feed := range f.all {
		errs = append(errs, feed.Synced())
	}
	return errors.Join(errs...)
}
