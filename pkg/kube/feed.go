package kube

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"

	"heteroaccel.io/pkg/admission"
	"heteroaccel.io/pkg/inventory"
	"heteroaccel.io/pkg/quota"
)

// Feed carries every object of one type from the API server into a sink. It is
// the store of a client-go reflector, and keeps nothing but names: the sink
// keeps the reduced record, so that no object is held twice.
type Feed struct {
	what      string
	reflector *cache.Reflector
	set       func(runtime.Object) error
	remove    func(types.NamespacedName)
	reduce    cache.TransformFunc
	seen      map[types.NamespacedName]struct{}
	followers []Follower
	synced    atomic.Bool
	again     chan struct{}
}

// NewFeed returns a feed of the objects that lw lists and watches, which are
// of the type of example. set and remove are called one at a time, in the
// order of the API server. reduce, if not nil, takes off an object what the
// sink does not need before the first list is complete.
func NewFeed(what string, lw cache.ListerWatcher, example runtime.Object, set func(runtime.Object) error, remove func(types.NamespacedName), reduce cache.TransformFunc) *Feed {
	f := &Feed{what: what, set: set, remove: remove, reduce: reduce, seen: map[types.NamespacedName]struct{}{}, again: make(chan struct{}, 1)}
	f.reflector = cache.NewReflectorWithOptions(lw, example, f, cache.ReflectorOptions{Name: what})
	return f
}

// Follower is told of every object after the sink, one at a time.
type Follower struct {
	Set    func(runtime.Object)
	Remove func(types.NamespacedName)
}

// Follow adds a follower, before Run. It must be quick.
func (f *Feed) Follow(fl Follower) { f.followers = append(f.followers, fl) }

// Run feeds until ctx ends; it reconnects by itself.
func (f *Feed) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		list, cancel := context.WithCancel(ctx)
		go func() {
			select {
			case <-f.again:
				cancel()
			case <-list.Done():
			}
		}()
		f.reflector.RunWithContext(list)
		cancel()
	}
	return nil
}

// Relist has every object taken in once more, for a sink that reads them in
// another way from now on.
func (f *Feed) Relist() {
	select {
	case f.again <- struct{}{}:
	default: // one is pending already
	}
}

// Synced says what is missing until the first complete list has arrived.
func (f *Feed) Synced() error {
	if !f.synced.Load() {
		return fmt.Errorf("waiting for the API server's list of %s", f.what)
	}
	return nil
}

// Transformer lets the reflector reduce objects as they stream in, so that the
// first list of a large cluster is never held whole.
func (f *Feed) Transformer() cache.TransformFunc { return f.reduce }

// Add, Update, Delete, Replace and Resync are called by the reflector.
func (f *Feed) Add(obj any) error { return f.put(obj) }

// Update is Add: the sink replaces by name.
func (f *Feed) Update(obj any) error { return f.put(obj) }

// Delete takes an object's leaving.
func (f *Feed) Delete(obj any) error {
	name, err := nameOf(obj)
	if err != nil {
		return err
	}
	delete(f.seen, name)
	f.gone(name)
	return nil
}

// Replace takes a complete list, at the start and after a lost connection:
// what is not on it is gone.
func (f *Feed) Replace(list []any, _ string) error {
	gone := f.seen
	f.seen = make(map[types.NamespacedName]struct{}, len(list))
	var errs []error
	for _, obj := range list {
		if name, err := nameOf(obj); err == nil {
			delete(gone, name)
		}
		errs = append(errs, f.put(obj))
	}
	for name := range gone {
		f.gone(name)
	}
	f.synced.Store(true)
	return errors.Join(errs...)
}

// Resync has nothing to do: nothing is queued.
func (f *Feed) Resync() error { return nil }

func (f *Feed) gone(name types.NamespacedName) {
	f.remove(name)
	for _, fl := range f.followers {
		fl.Remove(name)
	}
}

func (f *Feed) put(obj any) error {
	name, err := nameOf(obj)
	if err != nil {
		return err
	}
	f.seen[name] = struct{}{}
	if err := f.set(obj.(runtime.Object)); err != nil {
		return fmt.Errorf("take %s %s: %w", f.what, name, err)
	}
	for _, fl := range f.followers {
		fl.Set(obj.(runtime.Object))
	}
	return nil
}

func nameOf(obj any) (types.NamespacedName, error) {
	m, err := meta.Accessor(obj)
	if err != nil {
		return types.NamespacedName{}, fmt.Errorf("read the name of a %T: %w", obj, err)
	}
	return types.NamespacedName{Namespace: m.GetNamespace(), Name: m.GetName()}, nil
}

// Nodes feeds the nodes into the inventory.
func Nodes(client kubernetes.Interface, inv *inventory.Inventory) *Feed {
	lw := cache.NewListWatchFromClient(client.CoreV1().RESTClient(), "nodes", corev1.NamespaceAll, everything)
	return NewFeed("nodes", lw, &corev1.Node{},
		func(o runtime.Object) error { inv.SetNode(inventory.NodeOf(o.(*corev1.Node))); return nil },
		func(n types.NamespacedName) { inv.DeleteNode(n.Name) },
		reduceNode)
}

// Quotas feeds the ResourceQuotas of all namespaces into the inventory.
func Quotas(client kubernetes.Interface, inv *inventory.Inventory) *Feed {
	lw := cache.NewListWatchFromClient(client.CoreV1().RESTClient(), "resourcequotas", corev1.NamespaceAll, everything)
	return NewFeed("resourcequotas", lw, &corev1.ResourceQuota{},
		func(o runtime.Object) error {
			inv.SetQuota(quota.Of(o.(*corev1.ResourceQuota)))
			return nil
		},
		func(n types.NamespacedName) { inv.DeleteQuota(n.Namespace, n.Name) },
		nil)
}

// LimitRanges feeds the LimitRanges of all namespaces into the store.
func LimitRanges(client kubernetes.Interface, rules *admission.Store) *Feed {
	lw := cache.NewListWatchFromClient(client.CoreV1().RESTClient(), "limitranges", corev1.NamespaceAll, everything)
	return NewFeed("limitranges", lw, &corev1.LimitRange{},
		func(o runtime.Object) error {
			rules.SetLimitRange(admission.LimitRangeOf(o.(*corev1.LimitRange)))
			return nil
		},
		func(n types.NamespacedName) { rules.DeleteLimitRange(n.Namespace, n.Name) },
		nil)
}

// Namespaces feeds what the namespaces' labels say of the security of pods.
func Namespaces(client kubernetes.Interface, rules *admission.Store) *Feed {
	lw := cache.NewListWatchFromClient(client.CoreV1().RESTClient(), "namespaces", corev1.NamespaceAll, everything)
	return NewFeed("namespaces", lw, &corev1.Namespace{},
		func(o runtime.Object) error {
			ns := o.(*corev1.Namespace)
			rules.SetNamespace(ns.Name, ns.Labels)
			return nil
		},
		func(n types.NamespacedName) { rules.DeleteNamespace(n.Name) },
		reduceNamespace)
}

// Claims feeds the PersistentVolumeClaims of all namespaces into the inventory.
func Claims(client kubernetes.Interface, inv *inventory.Inventory) *Feed {
	lw := cache.NewListWatchFromClient(client.CoreV1().RESTClient(), "persistentvolumeclaims", corev1.NamespaceAll, everything)
	return NewFeed("persistentvolumeclaims", lw, &corev1.PersistentVolumeClaim{},
		func(o runtime.Object) error {
			c := o.(*corev1.PersistentVolumeClaim)
			inv.SetVolumeClaim(c.Namespace, c.Name, c.Spec.VolumeName)
			return nil
		},
		func(n types.NamespacedName) { inv.DeleteVolumeClaim(n.Namespace, n.Name) },
		reduceClaim)
}

// Volumes feeds the PersistentVolumes into the inventory.
func Volumes(client kubernetes.Interface, inv *inventory.Inventory) *Feed {
	lw := cache.NewListWatchFromClient(client.CoreV1().RESTClient(), "persistentvolumes", corev1.NamespaceAll, everything)
	return NewFeed("persistentvolumes", lw, &corev1.PersistentVolume{},
		func(o runtime.Object) error {
			inv.SetVolume(inventory.VolumeOf(o.(*corev1.PersistentVolume)))
			return nil
		},
		func(n types.NamespacedName) { inv.DeleteVolume(n.Name) },
		reduceVolume)
}

// Pods feeds the pods of all namespaces into the inventory: those that never
// asked for us use devices, cores and memory too. key verifies which pods are
// ours; when it returns another one than before, the feed is to be relisted.
func Pods(client kubernetes.Interface, inv *inventory.Inventory, key func() []byte) *Feed {
	lw := cache.NewListWatchFromClient(client.CoreV1().RESTClient(), "pods", corev1.NamespaceAll, everything)
	return NewFeed("pods", lw, &corev1.Pod{},
		func(o runtime.Object) error { inv.SetPod(inventory.PodOf(o.(*corev1.Pod), key())); return nil },
		func(n types.NamespacedName) { inv.DeletePod(n.Namespace, n.Name) },
		reducePod)
}
