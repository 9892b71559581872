package e2e

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/events"

	"heteroaccel.io/connector/controller"
	"heteroaccel.io/connector/session"
	"heteroaccel.io/e2e/stack"
	"heteroaccel.io/pkg/kube"
	"heteroaccel.io/pkg/profile"
)

// TestConnectorKilled kills the connector at every call of the API server that a
// request, a renewal, a move and an end take, or at every third in the short run,
// and starts it again: a session
// that a client was told of is served by one server, and nothing is left of
// those that ended or that nobody was told of.
func TestConnectorKilled(t *testing.T) {
	s := borrow(t, paper)
	if err := s.InstallConnector(t.Context()); err != nil {
		t.Fatal(err)
	}
	afters, step := []bool{true}, int64(3) // the call is carried out and its answer lost
	if long {
		afters, step = append(afters, false), 1
	}
	for _, after := range afters {
		for at := int64(1); ; at += step {
			if !connectorKilledAt(t, s, at, after) {
				t.Logf("it takes less than %d calls", at)
				break
			}
		}
	}
}

// sessions is the part of a connector that keeps them, in this process, so that
// it can be killed between any two calls.
type sessions struct {
	*controller.Controller
	stop func()
}

func beginSessions(t *testing.T, s *stack.Stack, c *crash) sessions {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	profiles := profile.NewStore()
	feed := kube.Profiles(s.Profiles, profiles, func(error) {})
	go func() { _ = feed.Run(ctx) }()
	config := rest.CopyConfig(kube.Protobuf(s.RESTAs("heteroaccel-connector")))
	config.Wrap(func(rt http.RoundTripper) http.RoundTripper { c.through = rt; return c })
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	registry := prometheus.NewRegistry()
	k := controller.New(controller.Config{
		Client: client, Namespace: stack.SessionNamespace, Identity: "killed", Profiles: profiles,
		Reach: session.ReachPodIP, Defaults: session.Limits{PerServer: 1},
		Recorder: events.NewFakeRecorder(1000), Registry: registry, Log: zerolog.Nop(),
	})
	var done sync.WaitGroup
	done.Go(func() { _ = k.Run(ctx) })
	done.Go(func() { _ = k.Lead(ctx) })
	eventually(t, func(context.Context) error { return errors.Join(feed.Synced(), carriesOut(registry)) })
	return sessions{k, func() { cancel(); done.Wait() }}
}

// carriesOut is nil once a connector carries out plans.
func carriesOut(registry prometheus.Gatherer) error {
	families, err := registry.Gather()
	for _, f := range families {
		if f.GetName() == "heteroaccel_connector_leading" && f.Metric[0].GetGauge().GetValue() == 1 {
			return nil
		}
	}
	return errors.Join(err, errors.New("the connector does not carry out plans yet"))
}

// client is how far a client got with its session.
type client struct {
	// id is the session's, "" if the client was not told.
	id string
	// ending is set once the client asked for its end.
	ending bool
	err    error
}

// connectorKilledAt plays one session with a connector that is killed at a call;
// false when there is no such call.
func connectorKilledAt(t *testing.T, s *stack.Stack, at int64, after bool) (happened bool) {
	t.Helper()
	c := &crash{at: at, after: after, happened: make(chan struct{})}
	first := beginSessions(t, s, c)
	c.armed.Store(true)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	played := make(chan client, 1)
	go func() { played <- play(ctx, s, first) }()
	var camera client
	select {
	case camera = <-played:
	case <-c.happened:
		cancel()
		camera = <-played
	}
	first.stop()
	name := "nothing"
	if happened = c.calls.Load() >= at; happened {
		name = c.last.Load().(string)
	} else if camera.err != nil {
		t.Fatalf("neither killed at call %d nor done: %v", at, camera.err)
	}
	second := beginSessions(t, s, &crash{happened: make(chan struct{})})
	defer second.stop()
	check := func(what string, f func(context.Context) error) {
		t.Helper()
		if err := await(t.Context(), f); err != nil {
			t.Fatalf("killed at call %d, %s (carried out: %t): %s: %v", at, name, after, what, err)
		}
	}
	if camera.id != "" && !camera.ending {
		check("the session is served", func(ctx context.Context) error { return servedOnce(ctx, s, second, camera.id) })
	}
	if camera.id != "" {
		check("it ends", func(ctx context.Context) error {
			if err := second.End(ctx, "camera", camera.id); !camera.ending || !errors.Is(err, controller.ErrNotFound) {
				return err
			}
			return nil
		})
	}
	check("nothing is left", func(ctx context.Context) error { return nothingServed(ctx, s) })
	return happened
}

// play is one session: asked for, renewed, moved and ended.
func play(ctx context.Context, s *stack.Stack, k sessions) (c client) {
	v, err := k.Create(ctx, session.Session{
		Client: "camera", Pool: session.Pool{Inference: "face-recognition", Accelerator: "gpu"},
		TTL: 5 * time.Second, // its renewals are written at once
	})
	if c.err = err; err != nil {
		return c
	}
	c.id = v.Session.ID
	if c.err = await(ctx, func(ctx context.Context) error { return servedOnce(ctx, s, k, c.id) }); c.err != nil {
		return c
	}
	pods, err := servers(ctx, s)
	if c.err = err; err != nil {
		return c
	}
	if c.err = s.Client().CoreV1().Pods(stack.SessionNamespace).Delete(ctx, pods[0].Name, metav1.DeleteOptions{}); c.err != nil {
		return c
	}
	if c.err = await(ctx, func(ctx context.Context) error {
		if v, err := k.Get("camera", c.id); err != nil || v.Session.Moves != 1 {
			return fmt.Errorf("it has not moved: %+v, %w", v, err)
		}
		return servedOnce(ctx, s, k, c.id)
	}); c.err != nil {
		return c
	}
	c.ending = true
	if c.err = k.End(ctx, "camera", c.id); c.err != nil {
		return c
	}
	c.err = await(ctx, func(ctx context.Context) error { return nothingServed(ctx, s) })
	return c
}

// servedOnce renews a session and checks that it is served by the only server.
func servedOnce(ctx context.Context, s *stack.Stack, k sessions, id string) error {
	v, err := k.Renew("camera", id)
	if err != nil {
		return err
	}
	pods, err := servers(ctx, s)
	if err != nil {
		return err
	}
	if v.Server.Phase != session.Ready || len(pods) != 1 || pods[0].Name != v.Server.Name {
		return fmt.Errorf("there are %d servers, and the session is %+v", len(pods), v)
	}
	return nil
}
