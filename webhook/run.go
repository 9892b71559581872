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
	"heteroaccel.io/pkg/inventory"
	"heteroaccel.io/pkg/kube"
	"heteroaccel.io/pkg/monitor"
	"heteroaccel.io/pkg/profile"
	"heteroaccel.io/pkg/serve"
	"heteroaccel.io/pkg/serve/servetls"
	"heteroaccel.io/webhook/readmit"
	"heteroaccel.io/webhook/refusals"
	"heteroaccel.io/webhook/server"
	"heteroaccel.io/webhook/variant"
)

// The Secrets and the Lease of the webhook, in its namespace.
const (
	caSecret  = "heteroaccel-webhook-ca"
	keySecret = "heteroaccel-webhook-key"
	lease     = "heteroaccel-webhook"
)

// run wires the program together and runs it until ctx ends.
func run(ctx context.Context, f flags, registry *prometheus.Registry, log zerolog.Logger) error {
	config, err := kube.Config(f.kube, "heteroaccel-webhook")
	if err != nil {
		return err
	}
	// A client each, so that each has a rate limit of its own: a burst of pods,
	// and so of Events, must not hold up the Lease or the feeds.
	client, eventClient, leaseClient, err := clients(config)
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	// Probes are answered from the start, so that /readyz can say what is
	// missing.
	var ready gate
	registry.MustRegister(ready.gauge())
	for address, handler := range statusPages(f, registry, ready.check, log) {
		group.Go(func() error { return serve.Run(ctx, address, handler, nil, log) })
	}
	key, err := waitForKey(ctx, client, f.namespace, &ready, log)
	if err != nil {
		return errors.Join(err, group.Wait())
	}

	broadcaster := events.NewBroadcaster(&events.EventSinkImpl{Interface: eventClient.EventsV1()})
	defer broadcaster.Shutdown()
	if err := broadcaster.StartRecordingToSinkWithContext(ctx); err != nil {
		return fmt.Errorf("record events: %w", err)
	}

	recorder := broadcaster.NewRecorder(scheme.Scheme, "heteroaccel-webhook")
	leads := func() error { return nil }
	if f.leader.Elect {
		leader, err := kube.NewLeader(leaseClient, f.namespace, lease, f.leader)
		if err != nil {
			return err
		}
		leads = leader.Leads
		group.Go(func() error { return leader.Run(ctx) })
	}
	profiles := profile.NewStore()
	times := serviceTimes(profiles)
	learned, err := newLearner(config, profiles, leads, log)
	if err != nil {
		return err
	}
	against := refusals.New(time.Now)
	announce := server.Announce(recorder)
	inv := inventory.New(inventory.Options{
		MaxTelemetryAge: f.telemetry.MaxAge,
		ReservationTTL:  f.reservationTTL,
		ServiceTime:     times,
		Schedulers:      f.schedulers,
		Admitted: func(p *inventory.Pod) {
			against.Admitted(p.Namespace, p.Managed.Reservation)
			announce(p)
		},
		Finished: learned.Finished,
	})
	feeds, err := kube.NewFeeds(client, config, inv, profiles, func() []byte { return key }, log)
	if err != nil {
		return err
	}
	rules := admission.NewStore()
	feeds.FollowRules(client, rules)
	feeds.FollowQuotas(client, inv)
	suspension := kube.NewSwitch(client, f.namespace, kube.SwitchName)
	refused := newRefusedCreates(against, inv, leads)
	samples := monitor.New(f.telemetry.Source, f.telemetry.Interval, inv.SetTelemetry, log)
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), samples)
	synced := func() error { return errors.Join(feeds.Synced(), samples.Synced()) }
	if err := keepStatus(config, feeds, leads, log); err != nil {
		return err
	}
	if _, err := feeds.Profiles().AddEventHandler(learned.Handler()); err != nil {
		return fmt.Errorf("follow edits of the InferenceProfiles: %w", err)
	}

	decides := func() error { return errors.Join(synced(), leads()) }
	served := server.Config{
		Inventory: inv, Profiles: profiles, Policy: f.policy,
		Schedulers: f.schedulers, OtherSchedulers: f.otherSchedulers,
		Refusals: against, Key: key, Registry: registry, Log: log, Ready: decides,
	}
	if f.readmission {
		readmitter, err := newReadmitter(config, f, readmit.Config{
			Inventory: inv, Options: variant.Source{Profiles: profiles, Schedulers: f.schedulers, Rules: rules}, Policy: f.policy,
			Refusals: against, Suspended: suspension.Suspended,
			Key: key, Ready: decides, Recorder: recorder, Registry: registry, Log: log,
		})
		if err != nil {
			return err
		}
		feeds.FollowPods(readmitter.SetPod, readmitter.DeletePod)
		served.Replaces = readmitter.Replaces
		group.Go(func() error { return readmitter.Run(ctx) })
	}
	served.Rules = rules
	srv, err := server.New(served)
	if err != nil {
		return err
	}
	certificate, err := startCertificate(ctx, group, f, config, client, log)
	if err != nil {
		return err
	}
	// Only the replica that decides is ready, so the Service sends it
	// everything.
	ready.set(func() error { return errors.Join(synced(), leads(), healthy(certificate)) })

	group.Go(func() error { return feeds.Run(ctx) })
	group.Go(func() error { return suspension.Run(ctx) })
	group.Go(func() error { return kube.FailedCreates(client, refused.tell).Run(ctx) })
	group.Go(func() error { return refused.run(ctx) })
	group.Go(func() error { return samples.Run(ctx) })
	group.Go(func() error { return learned.Run(ctx) })
	group.Go(func() error { return serve.Run(ctx, f.bindAddress, srv.Handler(), servetls.Config(certificate), log) })
	return group.Wait()
}

// clients are one for the feeds and all else, one for Events, one for the Lease.
func clients(config *rest.Config) (client, events, lease kubernetes.Interface, err error) {
	made := make([]kubernetes.Interface, 3)
	for i := range made {
		if made[i], err = kubernetes.NewForConfig(kube.Protobuf(config)); err != nil {
			return nil, nil, nil, fmt.Errorf("make a client: %w", err)
		}
	}
	return made[0], made[1], made[2], nil
}

// newReadmitter completes the configuration, with a client of its own: what
// frees many devices at once must not hold up the feeds.
func newReadmitter(config *rest.Config, f flags, c readmit.Config) (*readmit.Readmitter, error) {
	config = kube.Protobuf(config)
	config.QPS, config.Burst = 200, 400
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("make a client: %w", err)
	}
	c.Client, c.Namespace, c.Rules, c.BarePods, c.DryRun = client, f.namespace, f.rules, f.readmitBare, f.readmitDryRun
	return readmit.New(c), nil
}

// serviceTimes reads the profiles: what was learned or is hinted, or what
// follows from that.
func serviceTimes(profiles *profile.Store) func(string, accel.Kind) time.Duration {
	return func(inference string, kind accel.Kind) time.Duration {
		if p, ok := profiles.Get(inference); ok {
			return p.Time(kind)
		}
		return 0
	}
}

// startCertificate keeps the server's certificate up to date in the
// background: from files, or else self-signed.
func startCertificate(ctx context.Context, group *errgroup.Group, f flags, config *rest.Config, client kubernetes.Interface, log zerolog.Logger) (servetls.Certificate, error) {
	var certificate servetls.Certificate
	if f.tlsCert != "" {
		files, err := servetls.FileCertificate(f.tlsCert, f.tlsKey)
		if err != nil {
			return nil, err
		}
		certificate = files
	} else {
		host := f.service + "." + f.namespace
		bundle := &server.CABundle{Client: client, Namespace: f.namespace, Secret: caSecret, Configuration: f.webhookConfiguration, Log: log}
		group.Go(func() error { return bundle.Run(ctx) })
		certificate = &server.Changeover{
			Certificate: servetls.SelfSigned(config, f.namespace, caSecret, host+".svc", host+".svc.cluster.local", host, "localhost"),
			Bundle:      bundle,
		}
	}
	group.Go(func() error { return servetls.Start(ctx, certificate) })
	return certificate, nil
}

func healthy(c servetls.Certificate) error {
	if _, err := c.GetCertificate(nil); err != nil {
		return fmt.Errorf("waiting for the certificate: %w", err)
	}
	return nil
}

// waitForKey gets the key of the records, patiently: at start the API server,
// or our namespace, may not be there yet. What is missing it tells the gate,
// and the log when that changes.
func waitForKey(ctx context.Context, client kubernetes.Interface, namespace string, ready *gate, log zerolog.Logger) ([]byte, error) {
	said := ""
	for {
		key, err := kube.Key(ctx, client, namespace, keySecret)
		if err == nil {
			return key, nil
		}
		ready.set(func() error { return err })
		if err.Error() != said {
			said = err.Error()
			log.Warn().Err(err).Msg("the key of the records is not there yet")
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(time.Second):
		}
	}
}
