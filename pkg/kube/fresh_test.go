package kube

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	apiwatch "k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
)

// nodeList lists nodes for a reflector, and notes for what it was asked.
type nodeList struct {
	mu       sync.Mutex
	names    []string
	versions []string
	// held, if not nil, is waited for in the middle of a list; begun tells of one.
	held  chan struct{}
	begun chan struct{}
}

func (l *nodeList) source() cache.ListerWatcher {
	return &cache.ListWatch{
		ListWithContextFunc: func(_ context.Context, o metav1.ListOptions) (runtime.Object, error) {
			l.mu.Lock()
			l.versions = append(l.versions, o.ResourceVersion)
			out := &corev1.NodeList{ListMeta: metav1.ListMeta{ResourceVersion: "7"}}
			for _, name := range l.names {
				out.Items = append(out.Items, *node(name))
			}
			held := l.held
			l.mu.Unlock()
			select {
			case l.begun <- struct{}{}:
			default:
			}
			if held != nil {
				<-held
			}
			return out, nil
		},
		WatchFuncWithContext: func(_ context.Context, o metav1.ListOptions) (apiwatch.Interface, error) {
			if o.SendInitialEvents != nil { // an API server that does not know it
				if o.ResourceVersion != "" {
					return nil, apierrors.NewInternalError(context.Canceled) // no list from the past
				}
				return nil, apierrors.NewInvalid(corev1.SchemeGroupVersion.WithKind("ListOptions").GroupKind(), "", nil)
			}
			return apiwatch.NewFake(), nil
		},
	}
}

func (l *nodeList) set(held chan struct{}, names ...string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.held, l.names = held, names
}

// TestRefresh: it returns once the consumers have what there is after the call, and
// never for a list that was begun before; and no list is of the past.
func TestRefresh(t *testing.T) {
	l := &nodeList{names: []string{"a", "b"}, begun: make(chan struct{}, 1)}
	f := newFeed("nodes", l.source(), &corev1.Node{}, itself[*corev1.Node], nil)
	var mu sync.Mutex
	known := map[string]bool{}
	f.Register(
		func(n *corev1.Node) { mu.Lock(); defer mu.Unlock(); known[n.Name] = true },
		func(n types.NamespacedName) { mu.Lock(); defer mu.Unlock(); delete(known, n.Name) })
	go func() { _ = f.Run(t.Context()) }()
	expect := func(want ...string) {
		t.Helper()
		mu.Lock()
		defer mu.Unlock()
		var got []string
		for name := range known {
			got = append(got, name)
		}
		slices.Sort(got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
	refresh := func() error {
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		return f.Refresh(ctx)
	}
	if err := refresh(); err != nil {
		t.Fatal(err)
	}
	expect("a", "b")
	l.set(nil, "b", "c")
	if err := refresh(); err != nil {
		t.Fatal(err)
	}
	expect("b", "c")

	// One list is under way when another begins to matter.
	held := make(chan struct{})
	for len(l.begun) > 0 {
		<-l.begun
	}
	l.set(held, "old")
	f.Relist()
	<-l.begun
	l.set(nil, "new")
	done := make(chan error, 1)
	go func() { done <- refresh() }()
	close(held)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	expect("new")

	l.mu.Lock()
	defer l.mu.Unlock()
	for i, v := range l.versions {
		if v != "" {
			t.Errorf("list %d may be as old as version %s", i, v)
		}
	}
}

// TestRefreshGivesUp with its context.
func TestRefreshGivesUp(t *testing.T) {
	f := newFeed("nodes", (&nodeList{}).source(), &corev1.Node{}, itself[*corev1.Node], nil) // it does not run
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := f.Refresh(ctx); err == nil {
		t.Error("it was refreshed")
	}
}
