package kube

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"

	"heteroaccel.io/pkg/admission"
	"heteroaccel.io/pkg/inventory"
	"heteroaccel.io/pkg/profile"
)

// Feeds carry everything the API server knows and we need: nodes, pods, volumes
// and quotas into an inventory, profiles and the rules of namespaces into
// stores.
type Feeds struct {
	feeds    []*Feed
	pods     *Feed
	profiles cache.SharedIndexInformer
	handled  cache.ResourceEventHandlerRegistration
}

// NewFeeds prepares the feeds; Run starts them. A profile that cannot be used
// is logged and left out. key verifies which pods are ours; nil where that is
// not known yet: see RelistPods.
func NewFeeds(client kubernetes.Interface, config *rest.Config, inv *inventory.Inventory, store *profile.Store, key func() []byte, log zerolog.Logger) (*Feeds, error) {
	profiles, err := profile.NewClient(config)
	if err != nil {
		return nil, err
	}
	informer, err := profile.NewInformer(profiles)
	if err != nil {
		return nil, err
	}
	handled, err := informer.AddEventHandlerWithResyncPeriod(store.Handler(func(err error) {
		log.Error().Err(err).Msg("an InferenceProfile cannot be used")
	}), 0)
	if err != nil {
		return nil, fmt.Errorf("follow the InferenceProfiles: %w", err)
	}
	pods := Pods(client, inv, key)
	return &Feeds{
		feeds:    []*Feed{Nodes(client, inv), pods, Claims(client, inv), Volumes(client, inv)},
		pods:     pods,
		profiles: informer,
		handled:  handled,
	}, nil
}

// FollowQuotas feeds the ResourceQuotas too, which only whoever decides needs;
// call it before Run.
func (f *Feeds) FollowQuotas(client kubernetes.Interface, inv *inventory.Inventory) {
	f.feeds = append(f.feeds, Quotas(client, inv))
}

// FollowRules feeds the LimitRanges and the namespaces' pod-security labels,
// which only whoever decides needs; call it before Run.
func (f *Feeds) FollowRules(client kubernetes.Interface, rules *admission.Store) {
	f.feeds = append(f.feeds, LimitRanges(client, rules), Namespaces(client, rules))
}

// Profiles is the informer of the InferenceProfiles, for further handlers.
func (f *Feeds) Profiles() cache.SharedIndexInformer { return f.profiles }

// FollowPods has set and remove called with every pod once the inventory has
// it, one at a time; call it before Run. A pod that waits for the accelerator
// it was given comes whole, of others only what the inventory needs.
func (f *Feeds) FollowPods(set func(*corev1.Pod), remove func(types.NamespacedName)) {
	f.pods.Follow(Follower{Set: func(o runtime.Object) { set(o.(*corev1.Pod)) }, Remove: remove})
}

// RelistPods has every pod read once more, once there is another key.
func (f *Feeds) RelistPods() { f.pods.Relist() }

// Run feeds until ctx ends.
func (f *Feeds) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, feed := range f.feeds {
		group.Go(func() error { return feed.Run(ctx) })
	}
	group.Go(func() error { f.profiles.RunWithContext(ctx); return nil })
	group.Go(func() error { f.settle(ctx); return nil })
	return group.Wait()
}

// settle hands memory back once the first lists are in: decoding them takes
// several times what is kept, and that much is never needed again.
func (f *Feeds) settle(ctx context.Context) {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for f.Synced() != nil {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
	debug.FreeOSMemory()
}

// Synced says which first lists are missing, nil when all have been taken in.
func (f *Feeds) Synced() error {
	var errs []error
	for _, feed := range f.feeds {
		errs = append(errs, feed.Synced())
	}
	if !f.handled.HasSynced() {
		errs = append(errs, errors.New("waiting for the API server's list of InferenceProfiles: is the CRD installed?"))
	}
	return errors.Join(errs...)
}
