package controller

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"heteroaccel.io/connector/session"
)

// View is a session as its client sees it.
type View struct {
	Session session.Session
	// Server is what serves it, or the zero value.
	Server session.Server
	// Position is its place in the queue, 1 for the first, of Waiting sessions; 0
	// once it is served.
	Position, Waiting int
	// ExpectedWait is how long it will wait if sessions go on lasting as long as
	// the last ones did, 0 when nobody knows.
	ExpectedWait time.Duration
	// Coming is why what is to serve it runs where it does, or waits; "" when
	// nothing is known.
	Coming string
	// Failure is why no server could be created for it, "" if one could.
	Failure string
}

// ErrNotFound is that there is no such session, or no longer, or that it is
// another client's.
var ErrNotFound = errors.New("there is no such session, or it has ended")

// Create makes a session: served at once where a server has a free place, else
// waiting. ID, Created and Renewed are filled in.
func (k *Controller) Create(ctx context.Context, s session.Session) (View, error) {
	now := time.Now()
	s.ID, s.Created, s.Renewed, s.Server, s.UID, s.Version = strings.ToLower(rand.Text()), now, now, "", "", ""
	k.mu.Lock()
	if v := k.table.Free(s.Pool, k.limits(s.Pool).PerServer); v != nil && k.leads() {
		s.Server = v.Name
		promised := s
		k.table.Put(&promised)
		var done func()
		ctx, done = k.within(ctx) // only who leads assigns servers
		defer done()
	}
	k.mu.Unlock()
	lease, err := session.Lease(&s, k.Namespace)
	if err != nil {
		return View{}, err
	}
	created, err := k.Client.CoordinationV1().Leases(k.Namespace).Create(ctx, lease, metav1.CreateOptions{})
	k.mu.Lock()
	defer k.mu.Unlock()
	if err != nil {
		// It may have been created all the same: then it comes by the watch, if it
		// has not yet, and expires, as nobody knows its id.
		if now := k.table.Session(s.ID); now != nil && now.Version == "" {
			k.remove(s.ID)
		}
		return View{}, fmt.Errorf("keep the session: %w", err)
	}
	s.UID, s.Version = string(created.UID), created.ResourceVersion
	k.put(&s)
	k.metrics.created.Inc()
	if s.Server != "" {
		k.metrics.waits.Observe(time.Since(now).Seconds())
		k.metrics.warm.Inc()
	}
	return k.view(&s), nil
}

// Get returns a session of a client.
func (k *Controller) Get(client, id string) (View, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	s, err := k.own(client, id)
	if err != nil {
		return View{}, err
	}
	return k.view(s), nil
}

// List returns the sessions of a client, the oldest first.
func (k *Controller) List(client string) []View {
	k.mu.Lock()
	defer k.mu.Unlock()
	own := k.table.Sessions(client)
	views := make([]View, len(own))
	for i, s := range own {
		views[i] = k.view(s)
	}
	return views
}

// Renew lets a session of a client live for its TTL from now.
func (k *Controller) Renew(client, id string) (View, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	s, err := k.own(client, id)
	if err != nil {
		return View{}, err
	}
	next := *s
	next.Renewed = time.Now()
	if k.renewals.renew(k.Identity, &next, next.Renewed) {
		signal(k.flush)
	}
	k.table.Put(&next)
	k.metrics.renewed.Inc()
	return k.view(&next), nil
}

// End ends a session of a client.
func (k *Controller) End(ctx context.Context, client, id string) error {
	k.mu.Lock()
	s, err := k.own(client, id)
	k.mu.Unlock()
	if err != nil {
		return err
	}
	err = k.Client.CoordinationV1().Leases(k.Namespace).Delete(ctx, session.LeaseName(id), metav1.DeleteOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("end the session: %w", err)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if s.Server != "" {
		k.length(s.Pool, time.Since(s.Created))
	}
	k.remove(id)
	k.metrics.ended.WithLabelValues("deleted").Inc()
	return nil
}

// Changed returns a channel that is closed at the next change of a session, of
// its place in the queue or of its server.
func (k *Controller) Changed(id string) <-chan struct{} {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.changed[id] == nil {
		k.changed[id] = make(chan struct{})
	}
	return k.changed[id]
}

// Count is how many sessions a client has.
func (k *Controller) Count(client string) int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.table.CountOf(client)
}

// own returns a session of a client. The caller holds the lock.
func (k *Controller) own(client, id string) (*session.Session, error) {
	s := k.table.Session(id)
	// The leader ends sessions, and none in the time of a takeover.
	if s == nil || s.Client != client || !time.Now().Before(s.Expires().Add(takeover)) {
		return nil, ErrNotFound
	}
	return s, nil
}

// view completes a session. The caller holds the lock.
func (k *Controller) view(s *session.Session) View {
	v := View{Session: *s}
	if server := k.table.Server(s.Server); server != nil && k.unwritten[s.ID] == 0 {
		v.Server = *server
		if server.Phase < session.Ready {
			v.Coming, v.Failure = server.Progress(), k.failed(s.Pool)
		}
		return v
	}
	v.Position, v.Waiting = k.table.Position(s)
	v.Failure = k.failed(s.Pool)
	coming, ready := k.table.Coming(s.Pool)
	if coming != nil {
		v.Coming = coming.Progress()
	}
	if length := k.lengths[s.Pool]; length > 0 && ready > 0 {
		v.ExpectedWait = length * time.Duration(v.Position) / time.Duration(ready*k.limits(s.Pool).PerServer)
	}
	return v
}
