package main

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"heteroaccel.io/connector/camera/client"
	"heteroaccel.io/e2e/poll"
	"heteroaccel.io/e2e/stack"
	"heteroaccel.io/pkg/accel"
)

// asking is the same cluster, whose cameras ask the connector: a session for each
// inference. A server goes with its session, so that each inference is decided
// upon anew, as where each is a pod.
func (s *site) asking(ctx context.Context) (*site, error) {
	if err := s.stack.InstallConnector(ctx); err != nil {
		return nil, err
	}
	if err := s.stack.StartConnector(ctx, "connector", "--idle-timeout=0s"); err != nil {
		return nil, err
	}
	connector, err := client.New(client.Config{URL: s.stack.URL("connector", "")})
	if err != nil {
		return nil, err
	}
	other := *s
	other.connector, other.namespace = connector, stack.SessionNamespace
	return &other, nil
}

// session asks the connector, has the server for as long as the inference takes
// there, and ends the session, or gives up when it is too late.
func (s *site) session(ctx context.Context, b *book, q *request, late time.Time) error {
	b.expect(q, time.Now())
	ctx, cancel := context.WithDeadline(ctx, late)
	defer cancel()
	holding, end := context.WithCancel(ctx)
	defer end()
	served := make(chan client.Session, 1)
	done := make(chan error, 1)
	go func() {
		done <- s.connector.Hold(holding, client.Request{Inference: q.inference}, func(at client.Session) {
			if at.URL != "" {
				select {
				case served <- at:
				default: // it is known
				}
			}
		})
	}()
	select {
	case err := <-done:
		return err // nil when it is too late
	case at := <-served:
		now := time.Now()
		err := poll.Until(ctx, func(context.Context) error { return b.serve(q.name, at.Pod, accel.Kind(at.Kind), now) })
		if err != nil && !time.Now().Before(late) {
			end()
			return <-done
		}
		if err != nil {
			return err
		}
		over := time.NewTimer(q.takes[accel.Kind(at.Kind)])
		defer over.Stop()
		select {
		case err := <-done:
			return err
		case <-over.C:
			b.end(q.name, time.Now())
		}
	}
	end()
	return <-done
}

// server is what was seen of a server's pod.
type server struct {
	uid    types.UID
	kind   accel.Kind
	waited bool
	made   int
}

// seeServer takes a new or changed pod of the connector. The caller holds the
// lock.
func (b *book) seeServer(p *corev1.Pod) {
	v := b.servers[p.Name]
	if v == nil {
		v = &server{uid: p.UID}
		b.servers[p.Name] = v
	}
	if v.uid != p.UID {
		v.uid = p.UID
		v.made++
	}
	v.waited = v.waited || unschedulable(p)
	kind, err := ranOn(p)
	if v.kind = kind; err != nil && b.err == nil {
		b.err = err
	}
}

// serve enters that a request got a server of a kind. It fails until the watch has
// told of that pod.
func (b *book) serve(name, pod string, kind accel.Kind, now time.Time) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	e, v := b.runs[name], b.servers[pod]
	if v == nil || v.kind != kind {
		return fmt.Errorf("session %s says that its pod %s has the %s, and the API server shows %+v", name, pod, kind, v)
	}
	e.started, e.kind, e.waited, e.made = now, kind, v.waited, v.made
	return nil
}

// end enters that the inference of a request is done.
func (b *book) end(name string, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.runs[name].ended = now
}
