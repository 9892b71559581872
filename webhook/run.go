package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/events"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/admission"
	"heteroaccel.io/pkg/certificate"
	"heteroaccel.io/pkg/inventory"
	"heteroaccel.io/pkg/journal"
	"heteroaccel.io/pkg/kube"
	"heteroaccel.io/pkg/leader"
	"heteroaccel.io/pkg/monitor"
	"heteroaccel.io/pkg/namespaces"
	"heteroaccel.io/pkg/profile"
	"heteroaccel.io/pkg/serve"
	"heteroaccel.io/webhook/decisions"
	"heteroaccel.io/webhook/forward"
	"heteroaccel.io/webhook/learning"
	"heteroaccel.io/webhook/readmit"
	"heteroaccel.io/webhook/refusals"
	"heteroaccel.io/webhook/served"
	"heteroaccel.io/webhook/server"
	"heteroaccel.io/webhook/status"
	"heteroaccel.io/webhook/variant"
	"heteroaccel.io/webhook/workload"
)

// The CA's Secret and the Lease of the webhook, in its namespace.
const (
	caSecret = "heteroaccel-webhook-ca"
	lease    = "heteroaccel-webhook"
)

// run wires the program together and runs it until ctx ends.
func run(ctx context.Context, f flags, registry *prometheus.Registry, log zerolog.Logger) error {
	config, err := kube.Config(f.kube, "heteroaccel-webhook")
	if err != nil {
		return err
	}
	config.Wrap(leader.Fence)
	// Each has a client, and so a rate limit, of its own: a burst of pods, and so of
	// Events, must not delay the Lease or the feeds.
	client, eventClient, leaseClient, err := clients(config)
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	// Probes are answered from the start, so that /readyz can say what is
	// missing.
	var ready gate
	registry.MustRegister(ready.gauge())
	for address, handler := range serve.StatusPages("webhook", f.metricsBindAddress, f.healthBindAddress, registry, ready.check, log) {
		group.Go(func() error { return serve.Run(ctx, address, handler, nil, log) })
	}
	keys := kube.NewKeys(client, f.namespace, true, log)
	if err := keys.Wait(ctx, func(err error) { ready.set(func() error { return err }) }); err != nil {
		return errors.Join(err, group.Wait())
	}

	broadcaster := events.NewBroadcaster(&events.EventSinkImpl{Interface: eventClient.EventsV1()})
	defer broadcaster.Shutdown()
	if err := broadcaster.StartRecordingToSinkWithContext(ctx); err != nil {
		return fmt.Errorf("record events: %w", err)
	}

	recorder := broadcaster.NewRecorder(scheme.Scheme, "heteroaccel-webhook")
	election, err := leader.New(leader.Config{Client: leaseClient, Namespace: f.namespace, Lease: lease, Address: f.advertiseAddress, Flags: f.leader, Log: log})
	if err != nil {
		return err
	}
	registry.MustRegister(gaugeOf("heteroaccel_webhook_leading", "Whether this replica leads: 1 for one of the replicas, 0 for the others.", election.Leads), election.Terms("heteroaccel_webhook_terms_total"))
	profileClient, err := profile.NewClient(config)
	if err != nil {
		return err
	}
	// Writes of status have a client, and so a rate limit, of their own.
	statusClient, err := profile.NewClient(config)
	if err != nil {
		return err
	}
	profiles := profile.NewStore()
	registry.MustRegister(crdGauge(profiles))
	times := serviceTimes(profiles)
	against := refusals.New(time.Now)
	inv := inventory.New(inventory.Options{
		MaxTelemetryAge: f.telemetry.MaxAge,
		ReservationTTL:  f.reservationTTL,
		ServiceTime:     times,
		Schedulers:      f.schedulers,
	})
	statuses := status.New(status.Config{
		Write: statusClient.WriteStatus, Nodes: inv.Nodes, Profiles: profiles, Binding: f.binding, Now: time.Now, Log: log,
	})
	codes := func(inference, namespace string) []string {
		return learnedCodes(keys.Current(), inference, namespace)
	}
	learner := learning.New(learning.Config{
		Profiles: profiles, Write: statusClient.AddRuns, Leads: election.Leads, Offers: inv.Offers, Codes: codes, Registry: registry, Log: log,
	})
	meter := served.New(served.Config{
		Profiles: profiles, Serves: learner.Serves, Write: statusClient.AddServed, Leads: election.Leads,
		Codes: codes, Interval: f.serverMetrics, Registry: registry, Log: log,
	})
	switch server, err := f.telemetry.Querier(); {
	case err != nil:
		return err
	case server != nil:
		meter.Prometheus = server
	}
	feeds := kube.NewFeeds(client, profileClient, inv, profiles, keys.Current, func(err error) {
		log.Error().Err(err).Msg("an InferenceProfile cannot be used")
	})
	rules, allowed := admission.NewStore(), namespaces.NewStore()
	feeds.WatchRules(rules, allowed, inv)
	feeds.WatchQuotas(inv)
	feeds.Pods.Register(kube.OnAdmitted(func(p *inventory.Pod) { against.Admitted(p.Namespace, p.Managed.Reservation) }), nil)
	choices, decided := server.NewChoices(recorder), decisions.New(log, time.Now)
	feeds.Pods.Register(kube.OnAdmitted(choices.Announce), nil)
	feeds.Pods.Register(kube.OnFinished(learner.Finished), nil)
	load := workload.New(inv.Managed, profiles, election.Leads, time.Now)
	registry.MustRegister(load)
	feeds.Pods.Register(kube.OnStarted(load.Started), nil)
	sealed := newSealedPods(keys, election.Leads, recorder)
	registry.MustRegister(sealed)
	feeds.Pods.Register(sealed.set, sealed.remove)
	feeds.Pods.Register(meter.Set, meter.Delete)
	feeds.Profiles.Register(learner.SetProfile, learner.DeleteProfile)
	feeds.Profiles.Register(statuses.Set, statuses.Delete)
	feeds.Pods.Register(kube.OnRecord(statuses.Images.Observe), nil)
	suspension := kube.NewSwitch(client, f.namespace, kube.SwitchName)
	refused := newRefusedCreates(against, inv)
	failed := kube.FailedCreates(client)
	failed.Register(refused.observe, nil)
	exporters := monitor.NewPods(feeds.Pods.Synced)
	source, err := f.telemetry.Source(exporters)
	if err != nil {
		return err
	}
	feeds.Pods.Register(kube.OnPod(exporters.Set), exporters.Delete)
	telemetry := monitor.New(source, f.telemetry.Interval, inv.SetTelemetry, log)
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), telemetry)
	work := []func(context.Context) error{refused.run, learner.Run, meter.Run, statuses.Run, reportOverdue(inv.TakeOverdue, decided.Record, log)}

	serving := server.Config{
		Inventory: inv, Profiles: profiles, Policy: f.policy,
		Schedulers: f.schedulers, OtherSchedulers: f.otherSchedulers, SetScheduler: f.setScheduler,
		Binding: f.binding, HasClass: inv.HasClass,
		Refusals: against, Keys: keys.Current, Registry: registry, Log: log,
		Choices: choices, Decided: decided.Record, Authenticated: f.clientCA != "",
	}
	late := f.binding != profile.Early
	if f.readmission || late {
		readmitter, err := newReadmitter(config, f, readmit.Config{
			Inventory: inv, Options: variant.Source{Profiles: profiles, Schedulers: f.schedulers, SetScheduler: f.setScheduler, Rules: rules, Namespaces: allowed, Binding: f.binding, HasClass: inv.HasClass}, Policy: f.policy,
			Refusals: against, Decided: decided.Record, Suspended: suspension.Suspended,
			Keys: keys.Current, Recorder: recorder, Registry: registry, Log: log,
		})
		if err != nil {
			return err
		}
		feeds.Pods.Register(kube.OnPod(readmitter.SetPod), readmitter.DeletePod)
		if late {
			feeds.WatchDRA(inv, log).Register(readmitter.SetClaim, readmitter.DeleteClaim)
		}
		serving.Replaces = readmitter.Replaces
		if readmitter.MoveUp {
			serving.HeldByOthers = readmitter.HeldByOthers
		}
		work = append(work, readmitter.Run)
	}
	serving.Rules, serving.Namespaces = rules, allowed
	certificates, err := certificateSource(f, config, client, log)
	if err != nil {
		return err
	}
	peers := certificate.PeersOf(certificates, serviceHost(f)+".svc", log)
	serving.Peers = peers.Require
	readers := certificate.SharedBy(func() [][]byte { return keys.Current().Derived(journal.Purpose) })
	serving.Journal = readers.Require(decided.Stream(ctx))
	serving.Elsewhere = forward.New(forward.Config{
		Leader: election.Other, TLS: peers.ClientConfig(), Authenticated: serving.Authenticated, Registry: registry, Log: log,
	}).Answer
	if f.clientCA != "" {
		clients, err := certificate.ClientsOf(f.clientCA, f.clientNames, "the API server", log)
		if err != nil {
			return err
		}
		group.Go(func() error { return clients.Run(ctx) })
		serving.Clients = clients.Require
	}
	srv, err := server.New(serving)
	if err != nil {
		return err
	}
	registry.MustRegister(gaugeOf("heteroaccel_webhook_deciding", "Whether this replica decides: 1 for one of the replicas, 0 for the others.", srv.Decides))
	// A replica that does not decide forwards reviews to the one that does, or holds
	// them until one does.
	ready.set(func() error {
		return errors.Join(feeds.Synced(), telemetry.Synced(), certificate.Ready(certificates), either(srv.Decides, election.Led))
	})

	group.Go(func() error { return keys.Run(ctx, feeds.Pods.Relist) })
	group.Go(func() error { return certificate.Renew(ctx, certificates) })
	group.Go(func() error { return feeds.Run(ctx) })
	group.Go(func() error { return suspension.Run(ctx) })
	group.Go(func() error { return failed.Run(ctx) })
	group.Go(func() error { return telemetry.Run(ctx) })
	deciding := &term{feeds: feeds, telemetry: telemetry, inv: inv, against: against, server: srv, work: work}
	draining, drained := context.WithCancel(context.WithoutCancel(ctx))
	defer drained()
	group.Go(func() error {
		if err := election.Run(ctx, deciding.run); err != nil {
			return err
		}
		election.Follow(draining) // what is still held goes to the next leader
		return nil
	})
	group.Go(func() error {
		defer drained()
		return serve.RunReplica(ctx, f.bindAddress, srv.Handler(), readers.Server(peers.Ask(certificate.ServerConfig(certificates))), log)
	})
	return group.Wait()
}

// clients are one for the feeds and everything else, one for Events, and one for
// the Lease.
func clients(config *rest.Config) (client, events, lease kubernetes.Interface, err error) {
	all := make([]kubernetes.Interface, 3)
	for i := range all {
		if all[i], err = kubernetes.NewForConfig(kube.Protobuf(config)); err != nil {
			return nil, nil, nil, fmt.Errorf("create a client: %w", err)
		}
	}
	return all[0], all[1], all[2], nil
}

// newReadmitter completes the configuration, with a client of its own: when many
// devices become idle at once, its requests must not delay the feeds.
func newReadmitter(config *rest.Config, f flags, c readmit.Config) (*readmit.Readmitter, error) {
	config = kube.Protobuf(config)
	config.QPS, config.Burst = 200, 400
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("create a client: %w", err)
	}
	c.Client, c.Namespace, c.Rules, c.Recreate, c.BarePods, c.DryRun = client, f.namespace, f.rules, f.readmission, f.readmitBare, f.readmitDryRun
	c.DeletionCosts = f.readmission && f.deletionCosts
	c.MoveUp, c.Upgrades = f.readmission && f.readmitDryRun && f.moveUp, f.upgrades
	return readmit.New(c), nil
}

// serviceTimes reads the profiles: learned times, hints, or what follows from
// those.
func serviceTimes(profiles *profile.Store) func(string, accel.Kind) time.Duration {
	return func(inference string, kind accel.Kind) time.Duration {
		if p, ok := profiles.Get(inference); ok {
			return p.Time(kind)
		}
		return 0
	}
}
