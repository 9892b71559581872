package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"
	"k8s.io/client-go/kubernetes"

	"heteroaccel.io/extender/server"
	"heteroaccel.io/pkg/inventory"
	"heteroaccel.io/pkg/kube"
	"heteroaccel.io/pkg/monitor"
	"heteroaccel.io/pkg/profile"
	"heteroaccel.io/pkg/serve"
	"heteroaccel.io/pkg/serve/servetls"
)

// keySecret is where the webhook keeps the key of its records.
const keySecret = "heteroaccel-webhook-key"

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
	profiles := profile.NewStore()
	inv := inventory.New(inventory.Options{MaxTelemetryAge: f.telemetry.MaxAge})
	var feeds *kube.Feeds
	key := kube.NewSharedKey(client, f.namespace, keySecret, func() { feeds.RelistPods() }, log)
	if feeds, err = kube.NewFeeds(client, config, inv, profiles, key.Key, log); err != nil {
		return err
	}
	scrapes := monitor.New(f.telemetry.Source, f.telemetry.Interval, inv.SetTelemetry, log)
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), scrapes)

	suspension := kube.NewSwitch(client, f.namespace, kube.SwitchName)
	status := kube.NewSwitch(client, f.namespace, kube.StatusName)
	handler, err := server.New(server.Config{
		Inventory:   inv,
		Profiles:    profiles,
		Ready:       func() error { return errors.Join(feeds.Synced(), scrapes.Synced()) },
		FollowPods:  feeds.FollowPods,
		Suspended:   suspension.Suspended,
		Unwanted:    status.Unwanted,
		ManagedOnly: !f.unmanaged,
		Registerer:  registry,
		Metrics:     promhttp.HandlerFor(registry, promhttp.HandlerOpts{}),
		Log:         log,
	})
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	var tlsConfig *tls.Config
	if f.tlsCert != "" {
		certificate, err := servetls.FileCertificate(f.tlsCert, f.tlsKey)
		if err != nil {
			return err
		}
		tlsConfig = servetls.Config(certificate)
		group.Go(func() error { return servetls.Start(ctx, certificate) })
	}
	group.Go(func() error { return key.Run(ctx) })
	group.Go(func() error { return suspension.Run(ctx) })
	group.Go(func() error { return status.Run(ctx) })
	group.Go(func() error { return feeds.Run(ctx) })
	group.Go(func() error { return scrapes.Run(ctx) })
	group.Go(func() error { return serve.Run(ctx, f.bindAddress, handler, tlsConfig, log) })
	return group.Wait()
}
