package kube

import (
	"context"
	"errors"
	"fmt"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	apiwatch "k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/watchlist"
)

// consistent lists what the API server has at the time of asking: a reflector asks
// for what is no older than what it knows, which after a pause may be old. It counts
// the lists that were begun.
type consistent struct {
	cache.ListerWatcherWithContext
	// onlyLists is set where the client cannot list and watch in one.
	onlyLists bool

	mu sync.Mutex
	// begun is how many lists were begun, and had how many of them had been begun when
	// one was consumed last.
	begun, had int
	// consumed is closed when the next one is consumed.
	consumed chan struct{}
}

func newConsistent(lw cache.ListerWatcher) *consistent {
	c := &consistent{consumed: make(chan struct{}), onlyLists: watchlist.DoesClientNotSupportWatchListSemantics(lw)}
	if lw != nil {
		c.ListerWatcherWithContext = cache.ToListerWatcherWithContext(lw)
	}
	return c
}

// ListWithContext lists, a page at a time.
func (c *consistent) ListWithContext(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
	if o.Continue == "" {
		c.begin()
		o.ResourceVersion, o.ResourceVersionMatch = "", ""
	}
	return c.ListerWatcherWithContext.ListWithContext(ctx, o)
}

// WatchWithContext watches, or lists and watches in one.
func (c *consistent) WatchWithContext(ctx context.Context, o metav1.ListOptions) (apiwatch.Interface, error) {
	if o.SendInitialEvents != nil && *o.SendInitialEvents {
		c.begin()
		o.ResourceVersion = ""
	}
	return c.ListerWatcherWithContext.WatchWithContext(ctx, o)
}

// IsWatchListSemanticsUnSupported is what a reflector asks.
func (c *consistent) IsWatchListSemanticsUnSupported() bool { return c.onlyLists }

// List and Watch are for callers without a context, of which there is none.
func (c *consistent) List(o metav1.ListOptions) (runtime.Object, error) {
	return c.ListWithContext(context.Background(), o)
}

// Watch is as List.
func (c *consistent) Watch(o metav1.ListOptions) (apiwatch.Interface, error) {
	return c.WatchWithContext(context.Background(), o)
}

func (c *consistent) begin() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.begun++
}

// consume takes it that the list begun last has been consumed.
func (c *consistent) consume() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.had = c.begun
	close(c.consumed)
	c.consumed = make(chan struct{})
}

// state is how many lists were begun and consumed, and what is closed at the next.
func (c *consistent) state() (begun, had int, next <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.begun, c.had, c.consumed
}

// Refresh gives every object to the consumers once more, as the API server has it
// after the call, and forgets those that it does not have. It returns when that is
// done, or ctx ends. The feed must run.
func (f *Feed[T]) Refresh(ctx context.Context) error {
	before, had, next := f.lists.state()
	f.Relist()
	for had <= before {
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for the API server's list of %s: %w", f.resource, context.Cause(ctx))
		case <-next:
		}
		_, had, next = f.lists.state()
	}
	return nil
}

// Refresh refreshes every feed: see Feed.Refresh.
func (f *Feeds) Refresh(ctx context.Context) error {
	errs := make([]error, len(f.all))
	var all sync.WaitGroup
	for i, feed := range f.all {
		all.Go(func() { errs[i] = feed.Refresh(ctx) })
	}
	all.Wait()
	return errors.Join(errs...)
}
