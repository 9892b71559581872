package controller

import (
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"

	"heteroaccel.io/connector/session"
)

// setLease takes a Lease from the API server.
func (k *Controller) setLease(l *coordinationv1.Lease) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if l.Labels[session.Label] == session.LabelRenewals {
		k.renewals.take(l, k.Identity, time.Now())
		for id := range k.renewals.of(l.Name) {
			k.renewed(id)
		}
		return
	}
	s, err := session.OfLease(l)
	if err != nil {
		k.Log.Warn().Err(err).Msg("a lease is not a session's, and is left alone")
		return
	}
	s.Renewed = since(s.Renewed, l.CreationTimestamp.Time, time.Now())
	k.put(s)
}

// since is when a session was last renewed, of which the clock may be hours from
// ours: not before the API server was given it, and not in the future.
func since(renewed, created, now time.Time) time.Time {
	if renewed.Before(created) {
		renewed = created
	}
	if renewed.After(now) {
		return now
	}
	return renewed
}

// put takes a session as the API server has it, unless what is known is newer.
// The caller holds the lock.
func (k *Controller) put(s *session.Session) {
	old := k.table.Session(s.ID)
	if old != nil && k.stale(s.Version, old.Version) {
		return
	}
	if at := k.renewals.last(s.ID); at.After(s.Renewed) {
		s.Renewed = at
	}
	if old != nil && old.Renewed.After(s.Renewed) {
		s.Renewed = old.Renewed
	}
	k.table.Put(s)
	k.note(s.Pool, s.ID)
}

// renewed gives a session its last renewal. The caller holds the lock.
func (k *Controller) renewed(id string) {
	s := k.table.Session(id)
	if at := k.renewals.last(id); s != nil && at.After(s.Renewed) {
		next := *s
		next.Renewed = at
		k.table.Put(&next)
	}
}

// setPod takes a pod from the API server.
func (k *Controller) setPod(pod *corev1.Pod) {
	v, err := session.OfPod(pod)
	if err != nil {
		k.Log.Warn().Err(err).Msg("a pod is not a server's, and is left alone")
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.putServer(v)
}

// putServer takes a server as the API server has it, unless what is known is
// newer. The caller holds the lock.
func (k *Controller) putServer(v *session.Server) {
	old := k.table.Server(v.Name)
	if old != nil {
		if k.stale(v.Version, old.Version) {
			return
		}
		v.Device = old.Device
		if old.Phase == session.Gone && !k.rebuilding {
			v.Phase = session.Gone // a deletion is under way
		}
	}
	k.table.PutServer(v)
	k.note(v.Pool)
	k.tellAll(v.Pool)
	k.tellRefusal(old, k.table.Server(v.Name))
}

// removePod takes a pod's leaving.
func (k *Controller) removePod(name string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if v := k.table.Server(name); v != nil {
		k.table.RemoveServer(name)
		k.note(v.Pool)
		k.tellAll(v.Pool)
	}
}

// removeLease takes a Lease's leaving.
func (k *Controller) removeLease(name string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if id, ok := session.IDOf(name); ok {
		k.remove(id)
		return
	}
	k.renewals.drop(name)
}

// remove forgets a session. The caller holds the lock.
func (k *Controller) remove(id string) {
	if s := k.table.Session(id); s != nil {
		k.table.Remove(id)
		k.renewals.forget(id)
		k.note(s.Pool, id)
		k.tellAll(s.Pool)
	}
}
