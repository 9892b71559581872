package controller

import (
	"context"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"heteroaccel.io/connector/session"
)

// write runs a call of the API server in the term whose context ctx is, a bounded
// number at a time. The caller holds the lock, which write does not wait with.
func (k *Controller) write(ctx context.Context, call func(context.Context)) {
	k.writes.Go(func() {
		k.writing <- struct{}{}
		defer func() { <-k.writing }()
		ctx, cancel := context.WithTimeout(ctx, callLimit)
		defer cancel()
		call(ctx)
	})
}

// change writes a changed session. The caller holds the lock.
func (k *Controller) change(ctx context.Context, s *session.Session) {
	lease, err := session.Lease(s, k.Namespace)
	if err != nil {
		k.Log.Error().Err(err).Msg("cannot write a session")
		return
	}
	before := k.table.Session(s.ID)
	k.table.Put(s)
	k.unwritten[s.ID]++
	k.note(s.Pool, s.ID)
	k.tellAll(s.Pool)
	k.write(ctx, func(ctx context.Context) {
		leases := k.Client.CoordinationV1().Leases(k.Namespace)
		updated, err := leases.Update(ctx, lease, metav1.UpdateOptions{})
		defer k.written(s.ID)
		if err != nil {
			k.Log.Info().Err(err).Str("session", s.ID).Msg("a session was changed by somebody else, or could not be written: it is read again")
			k.reread(ctx, s, before)
			return
		}
		k.mu.Lock()
		defer k.mu.Unlock()
		if now := k.table.Session(s.ID); now != nil && newer(updated.ResourceVersion, now.Version) {
			next := *now
			next.Version = updated.ResourceVersion
			k.table.Put(&next)
		}
	})
}

// written lets a session's client see its server.
func (k *Controller) written(id string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.unwritten[id]--; k.unwritten[id] == 0 {
		delete(k.unwritten, id)
	}
	k.tell(id)
}

// reread replaces what is known of a session by what the API server has. One
// that has been removed meanwhile has ended, and stays so. If nothing is known, it is
// as before what was to be written: if that was written, its event will tell.
func (k *Controller) reread(ctx context.Context, wanted, before *session.Session) {
	id := wanted.ID
	s, err := k.read(ctx, id)
	k.mu.Lock()
	defer k.mu.Unlock()
	now := k.table.Session(id)
	switch {
	case apierrors.IsNotFound(err):
		k.remove(id)
	case err != nil:
		k.Log.Warn().Err(err).Str("session", id).Msg("cannot read a session; its next event will tell")
		if now == wanted && before != nil {
			k.table.Put(before)
			k.note(before.Pool, id)
		}
	case now != nil:
		s.Renewed = now.Renewed // by our clock, as it was seen first
		k.table.Remove(id)
		k.put(s)
	}
}

func (k *Controller) read(ctx context.Context, id string) (*session.Session, error) {
	lease, err := k.Client.CoordinationV1().Leases(k.Namespace).Get(ctx, session.LeaseName(id), metav1.GetOptions{})
	if err != nil {
		return nil, err
	}
	return session.OfLease(lease)
}

// endLocked ends a session. If that fails the session is back, and ends again.
// The caller holds the lock.
func (k *Controller) endLocked(ctx context.Context, s *session.Session) {
	if s.Server != "" {
		k.length(s.Pool, time.Since(s.Created))
	}
	k.remove(s.ID)
	k.write(ctx, func(ctx context.Context) {
		// Of a version that the API server does not have any more, the next leader decides.
		err := k.Client.CoordinationV1().Leases(k.Namespace).Delete(ctx, session.LeaseName(s.ID), asSeen(s.UID, s.Version))
		if err == nil || apierrors.IsNotFound(err) {
			return
		}
		k.Log.Warn().Err(err).Str("session", s.ID).Msg("cannot delete a session; it expires again")
		k.mu.Lock()
		defer k.mu.Unlock()
		k.put(s)
	})
}
