package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"os"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/events"

	"heteroaccel.io/connector/controller"
	"heteroaccel.io/connector/gatewayapi"
	"heteroaccel.io/connector/identity"
	"heteroaccel.io/connector/server"
	"heteroaccel.io/connector/session"
	"heteroaccel.io/pkg/certificate"
	"heteroaccel.io/pkg/kube"
	"heteroaccel.io/pkg/monitor"
	"heteroaccel.io/pkg/namespaces"
	"heteroaccel.io/pkg/profile"
	"heteroaccel.io/pkg/program"
	"heteroaccel.io/pkg/serve"
)

// lease is that of the replica that carries out plans.
const lease = "heteroaccel-connector"

// run wires the program together and runs it until ctx ends.
func run(ctx context.Context, f flags, registry *prometheus.Registry, log zerolog.Logger) error {
	config, err := kube.Config(f.kube, "heteroaccel-connector")
	if err != nil {
		return err
	}
	// A client each for the sessions, for tokens and Events, and for the Lease: a
	// burst of sessions must not hold up the others.
	config = kube.Protobuf(config)
	var client [3]kubernetes.Interface
	for i := range client {
		c := rest.CopyConfig(config)
		if i == 0 {
			c.QPS, c.Burst = 4*c.QPS, 4*c.Burst
		}
		if client[i], err = kubernetes.NewForConfig(c); err != nil {
			return fmt.Errorf("make a client: %w", err)
		}
	}
	group, ctx := errgroup.WithContext(ctx)
	broadcaster := events.NewBroadcaster(&events.EventSinkImpl{Interface: client[1].EventsV1()})
	defer broadcaster.Shutdown()
	if err := broadcaster.StartRecordingToSinkWithContext(ctx); err != nil {
		return fmt.Errorf("record events: %w", err)
	}
	leads := func() error { return nil }
	if f.leader.Elect {
		leader, err := kube.NewLeader(client[2], f.namespace, lease, f.leader)
		if err != nil {
			return err
		}
		leads = leader.Leads
		group.Go(func() error { return leader.Run(ctx) })
	}
	profileClient, err := profile.NewClient(config)
	if err != nil {
		return err
	}
	profiles := profile.NewStore()
	profileFeed := kube.Profiles(profileClient, profiles, func(err error) {
		log.Warn().Err(err).Msg("an InferenceProfile cannot be used")
	})
	group.Go(func() error { return profileFeed.Run(ctx) })
	allowed := namespaces.NewStore()
	namespace := kube.Named(client[1].CoreV1().RESTClient(), "namespaces", types.NamespacedName{Name: f.sessionNamespace}, &corev1.Namespace{})
	namespace.Register(
		func(ns *corev1.Namespace) { allowed.Set(namespaces.Of(ns)) },
		func(n types.NamespacedName) { allowed.Delete(n.Name) })
	group.Go(func() error { return namespace.Run(ctx) })
	gateway, err := f.gatewayOf(config)
	if err != nil {
		return err
	}
	if gateway != nil {
		group.Go(func() error { return gateway.Client.Installed(ctx) })
	}
	sessions := controller.New(controller.Config{
		Client: client[0], Namespace: f.sessionNamespace, Identity: f.leader.Identity,
		Profiles: profiles, Leads: leads, Reach: session.Reach(f.reach), Gateway: gateway,
		Defaults: session.Limits{PerServer: 1, Idle: f.idle},
		Recorder: broadcaster.NewRecorder(scheme.Scheme, "heteroaccel-connector"),
		Registry: registry, Log: log,
	})
	source, err := f.telemetry.Source(nil)
	if err != nil {
		return err
	}
	telemetry := monitor.New(source, f.telemetry.Interval, sessions.Observe, log)
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), telemetry)
	known, err := f.clients(client[1])
	if err != nil {
		return err
	}
	ready := func() error {
		return errors.Join(profileFeed.Synced(), namespace.Synced(), sessions.Synced())
	}
	handler := server.New(server.Config{
		Sessions: sessions, Profiles: profiles, Client: known, Ready: ready,
		Allowed: func(p *profile.Profile) error { return allowed.Refuses(f.sessionNamespace, p) },
		Reach:   session.Reach(f.reach), Gateway: gateway != nil, Limits: f.limits, Node: f.node,
		Version: program.Version(), Log: log,
	})
	tlsConfig, err := f.tls(ctx, group)
	if err != nil {
		return err
	}
	for address, pages := range serve.StatusPages("connector", f.metricsBindAddress, f.healthBindAddress, registry, ready, log) {
		group.Go(func() error { return serve.Run(ctx, address, pages, nil, log) })
	}
	group.Go(func() error { return sessions.Run(ctx) })
	group.Go(func() error { return telemetry.Run(ctx) })
	group.Go(func() error { return serve.Run(ctx, f.bindAddress, handler, tlsConfig, log) })
	return group.Wait()
}

// gatewayOf is what servers are reached by, nil for no Gateway.
func (f *flags) gatewayOf(config *rest.Config) (*controller.Gateway, error) {
	attachment, err := f.attachment()
	if err != nil || attachment == nil {
		return nil, err
	}
	client, err := gatewayapi.New(config)
	if err != nil {
		return nil, err
	}
	return &controller.Gateway{Client: client, Attachment: *attachment}, nil
}

// clients are who is known.
func (f *flags) clients(client kubernetes.Interface) (func(*http.Request) (string, error), error) {
	var sources []identity.Source
	if f.clientCA != "" {
		sources = append(sources, identity.Certificate)
	}
	if f.tokenFile != "" {
		file, err := identity.NewFile(f.tokenFile)
		if err != nil {
			return nil, err
		}
		sources = append(sources, file.Source)
	}
	if f.tokenReview {
		sources = append(sources, identity.Review(client))
	}
	if f.anonymous {
		sources = append(sources, identity.Anybody("anonymous"))
	}
	return identity.First(sources...), nil
}

// tls is how the API is served, nil for HTTP.
func (f *flags) tls(ctx context.Context, group *errgroup.Group) (*tls.Config, error) {
	if f.tlsCert == "" {
		return nil, nil
	}
	source, err := certificate.FromFiles(f.tlsCert, f.tlsKey)
	if err != nil {
		return nil, err
	}
	group.Go(func() error { return certificate.Renew(ctx, source) })
	config := certificate.ServerConfig(source)
	if f.clientCA != "" {
		pem, err := os.ReadFile(f.clientCA)
		if err != nil {
			return nil, fmt.Errorf("--client-ca-file: %w", err)
		}
		config.ClientCAs = x509.NewCertPool()
		if !config.ClientCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("--client-ca-file %s has no certificate", f.clientCA)
		}
		config.ClientAuth = tls.VerifyClientCertIfGiven
	}
	return config, nil
}
