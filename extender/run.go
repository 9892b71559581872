package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"

	"heteroaccel.io/extender/access"
	"heteroaccel.io/extender/decisions"
	"heteroaccel.io/extender/server"
	"heteroaccel.io/pkg/certificate"
	"heteroaccel.io/pkg/inventory"
	"heteroaccel.io/pkg/journal"
	"heteroaccel.io/pkg/kube"
	"heteroaccel.io/pkg/monitor"
	"heteroaccel.io/pkg/profile"
	"heteroaccel.io/pkg/serve"
)

// run wires the program together and runs it until ctx ends.
func run(ctx context.Context, f flags, registry *prometheus.Registry, log zerolog.Logger) error {
	config, err := kube.Config(f.kube, "heteroaccel-extender")
	if err != nil {
		return err
	}
	client, err := kubernetes.NewForConfig(kube.Protobuf(config))
	if err != nil {
		return fmt.Errorf("make a client: %w", err)
	}
	profileClient, err := profile.NewClient(config)
	if err != nil {
		return err
	}
	profiles := profile.NewStore()
	inv := inventory.New(inventory.Options{MaxTelemetryAge: f.telemetry.MaxAge})
	keys := kube.NewKeys(client, f.namespace, false, log)
	feeds := kube.NewFeeds(client, profileClient, inv, profiles, keys.Current, func(err error) {
		log.Error().Err(err).Msg("an InferenceProfile cannot be used")
	})
	exporters := monitor.NewPods(feeds.Pods.Synced)
	source, err := f.telemetry.Source(exporters)
	if err != nil {
		return err
	}
	feeds.Pods.Register(kube.OnPod(exporters.Set), exporters.Delete)
	addresses, setWebhook, removeWebhook := f.addresses()
	feeds.Pods.Register(kube.OnPod(setWebhook), removeWebhook)
	shared := certificate.SharedBy(func() [][]byte { return keys.Current().Derived(journal.Purpose) })
	follower := decisions.New(decisions.Config{Addresses: addresses, TLS: shared.Client(), Log: log})
	if f.resourceClaims {
		feeds.WatchDRA(inv, log)
	}
	scrapes := monitor.New(source, f.telemetry.Interval, inv.SetTelemetry, log)
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), scrapes)

	suspension := kube.NewSwitch(client, f.namespace, kube.SwitchName)
	status := kube.NewSwitch(client, f.namespace, kube.StatusName)
	ready := func() error { return errors.Join(feeds.Synced(), scrapes.Synced()) }
	handlers, err := server.New(server.Config{
		Inventory: inv,
		Profiles:  profiles,
		Ready:     ready,
		FollowPods: func(set func(*corev1.Pod), remove func(types.NamespacedName)) {
			feeds.Pods.Register(kube.OnPod(set), remove)
		},
		Other:        f.other(),
		Conflict:     scrapes.Conflict,
		Decisions:    follower.Journal(),
		Missing:      follower.Failures,
		Suspended:    suspension.Suspended,
		NotRecreated: status.NotRecreated,
		ManagedOnly:  !f.unmanaged,
		Claims:       f.resourceClaims,
		MayList:      access.MayList,
		VerbsAt:      f.endpoint(),
		Registerer:   registry,
		Log:          log,
	})
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	if err := f.listen(ctx, group, handlers, config, log); err != nil {
		return err
	}
	for address, pages := range serve.StatusPages("extender", f.metricsBindAddress, f.healthBindAddress, registry, ready, log) {
		group.Go(func() error { return serve.Run(ctx, address, pages, nil, log) })
	}
	group.Go(func() error { return keys.Run(ctx, feeds.Pods.Relist) })
	group.Go(func() error { return suspension.Run(ctx) })
	group.Go(func() error { return status.Run(ctx) })
	group.Go(func() error { return feeds.Run(ctx) })
	group.Go(func() error { return scrapes.Run(ctx) })
	group.Go(func() error { return follower.Run(ctx) })
	group.Go(func() error { return handlers.Run(ctx) })
	return group.Wait()
}
