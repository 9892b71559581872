package kube

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"
)

// Feed carries every object of one type from the API server to its consumers,
// as events of type T. It is the store of a client-go reflector and keeps
// nothing but names: each consumer keeps the reduced record that it needs, where
// an informer's cache would hold every object a second time.
//
//	API server ──list, watch──▶ reflector ──reduce──▶ Feed ──▶ first consumer ──▶ second …
//
// Events come in the API server's order. Each is given to all consumers, in the
// order of their registration, before the next one is.
type Feed[T any] struct {
	resource  string
	reflector *cache.Reflector
	event     func(runtime.Object) T
	reduce    cache.TransformFunc
	consumers []consumer[T]
	// mu is held while consumers are called: a list that was given up may still answer
	// while the next one does.
	mu     sync.Mutex
	names  map[types.NamespacedName]struct{}
	synced atomic.Bool
	relist chan struct{}
	lists  *consistent
	// listed is called after the first list and each long one, if it is not nil.
	listed func()
}

type consumer[T any] struct {
	set    func(T)
	remove func(types.NamespacedName)
}

// newFeed returns a feed of the objects that lw lists and watches, which are of
// the type of example. event makes of an object what consumers are given.
// reduce, if not nil, removes from an object what no consumer needs, while a list
// streams in.
func newFeed[T any](resource string, lw cache.ListerWatcher, example runtime.Object, event func(runtime.Object) T, reduce cache.TransformFunc) *Feed[T] {
	f := &Feed[T]{resource: resource, event: event, reduce: reduce, names: map[types.NamespacedName]struct{}{}, relist: make(chan struct{}, 1)}
	f.lists = newConsistent(lw)
	f.reflector = cache.NewReflectorWithOptions(f.lists, example, f, cache.ReflectorOptions{Name: resource})
	return f
}

// itself is the event of feeds whose consumers are given the objects.
func itself[T runtime.Object](o runtime.Object) T { return o.(T) }

// Register adds a consumer: set is called for every object that is new or has
// changed, remove with the name of every one that is gone, unless it is nil. Both
// are called one at a time and must be quick. Register all consumers before
// Run.
func (f *Feed[T]) Register(set func(T), remove func(types.NamespacedName)) {
	f.consumers = append(f.consumers, consumer[T]{set, remove})
}

// Run feeds the consumers until ctx ends. It reconnects by itself.
func (f *Feed[T]) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		list, cancel := context.WithCancel(ctx)
		go func() {
			select {
			case <-f.relist:
				cancel()
			case <-list.Done():
			}
		}()
		f.reflector.RunWithContext(list)
		cancel()
	}
	return nil
}

// Relist gives every object to the consumers once more, for one that reads them
// differently from now on.
func (f *Feed[T]) Relist() {
	select {
	case f.relist <- struct{}{}:
	default: // one is pending already
	}
}

// Synced says what is missing until the first complete list has been consumed.
func (f *Feed[T]) Synced() error {
	if !f.synced.Load() {
		return fmt.Errorf("waiting for the API server's list of %s", f.resource)
	}
	return nil
}

// Transformer lets the reflector reduce the objects of a list as they stream in,
// so that the first list of a large cluster is never held as a whole.
func (f *Feed[T]) Transformer() cache.TransformFunc { return f.reduce }

// Add, Update, Delete, Replace and Resync are called by the reflector.
func (f *Feed[T]) Add(obj any) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.put(obj)
}

// Update is Add: consumers replace by name.
func (f *Feed[T]) Update(obj any) error { return f.Add(obj) }

// Delete tells the consumers that an object is gone.
func (f *Feed[T]) Delete(obj any) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	name, err := nameOf(obj)
	if err != nil {
		return err
	}
	delete(f.names, name)
	f.gone(name)
	return nil
}

// Replace takes a complete list, at the start and after a lost connection:
// what is not on it is gone.
func (f *Feed[T]) Replace(list []any, _ string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	missing := f.names
	f.names = make(map[types.NamespacedName]struct{}, len(list))
	var errs []error
	for _, obj := range list {
		if name, err := nameOf(obj); err == nil {
			delete(missing, name)
		}
		errs = append(errs, f.put(obj))
	}
	for name := range missing {
		f.gone(name)
	}
	first := !f.synced.Swap(true)
	f.lists.consume()
	if f.listed != nil && (first || len(list) >= longList) {
		f.listed()
	}
	return errors.Join(errs...)
}

// onList has do called after the first list and each long one. It must be quick.
func (f *Feed[T]) onList(do func()) { f.listed = do }

// Resync has nothing to do: nothing is queued.
func (f *Feed[T]) Resync() error { return nil }

func (f *Feed[T]) gone(name types.NamespacedName) {
	for _, c := range f.consumers {
		if c.remove != nil {
			c.remove(name)
		}
	}
}

func (f *Feed[T]) put(obj any) error {
	name, err := nameOf(obj)
	if err != nil {
		return err
	}
	f.names[name] = struct{}{}
	event := f.event(obj.(runtime.Object))
	for _, c := range f.consumers {
		c.set(event)
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
