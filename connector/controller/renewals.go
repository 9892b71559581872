package controller

import (
	"context"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"strconv"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"heteroaccel.io/connector/session"
)

const (
	// parts is into how many Leases the renewals of a replica are split, by the
	// session's id: with 10,000 sessions each is about 20 KB.
	parts = 16
	// flushPause is how often changed parts are written, so that the API server
	// sees at most parts writes in that time from each replica, however many
	// sessions there are.
	flushPause = 5 * time.Second
	// urgent is how long before a session would expire, for all that the other
	// replicas know, its renewal is written at once.
	urgent = 2 * flushPause

	renewalsAnnotation = "heteroaccel.io/renewals"
	renewalsPrefix     = "renewals-"
)

// renewals are when sessions were last renewed, by the name of the Lease. The
// caller of every method holds the controller's lock.
type renewals struct {
	leases map[string]map[string]time.Time
	latest map[string]time.Time
	// written is what of our own parts the API server has.
	written map[string]time.Time
	dirty   map[int]bool
	// stored are our own parts that the API server has an object of.
	stored map[int]bool
	// wrote is when the replica of each Lease wrote it, by that replica's clock.
	wrote map[string]time.Time
}

func newRenewals() renewals {
	return renewals{
		leases: map[string]map[string]time.Time{}, latest: map[string]time.Time{},
		written: map[string]time.Time{}, dirty: map[int]bool{}, stored: map[int]bool{}, wrote: map[string]time.Time{},
	}
}

func partName(identity string, part int) string {
	return renewalsPrefix + identity + "-" + strconv.Itoa(part)
}

func partOf(id string) int {
	h := fnv.New32a()
	_, _ = h.Write([]byte(id)) // never fails
	return int(h.Sum32() % parts)
}

// last is when a session was last renewed, the zero time when nobody said.
func (r *renewals) last(id string) time.Time { return r.latest[id] }

// of are the renewals of one Lease.
func (r *renewals) of(lease string) map[string]time.Time { return r.leases[lease] }

// take reads a replica's Lease at a time by our clock. Our own is read once, after a
// restart. Another's clock may be hours from ours: what it has written since we looked
// last is of now, and nothing was renewed in the future.
func (r *renewals) take(l *coordinationv1.Lease, identity string, now time.Time) {
	var seconds map[string]int64
	if json.Unmarshal([]byte(l.Annotations[renewalsAnnotation]), &seconds) != nil {
		return
	}
	own := l.Spec.HolderIdentity != nil && *l.Spec.HolderIdentity == identity
	if own && r.leases[l.Name] != nil {
		return
	}
	wrote, known := l.Spec.RenewTime, false
	if !own && wrote != nil {
		var before time.Time
		if before, known = r.wrote[l.Name]; known && before.Equal(wrote.Time) {
			return
		}
		r.wrote[l.Name] = wrote.Time
	}
	times := make(map[string]time.Time, len(seconds))
	for id, at := range seconds {
		times[id] = time.Unix(at, 0)
		renewed := times[id]
		switch {
		case known && renewed.After(wrote.Time):
			continue // their clock was set back since: this was told before
		case known:
			renewed = now.Add(renewed.Sub(wrote.Time)) // so that setting our clock moves nothing
		}
		if renewed.After(now) {
			renewed = now
		}
		if renewed.After(r.latest[id]) {
			r.latest[id] = renewed
		}
		if own {
			r.written[id] = times[id]
			r.stored[partOf(id)] = true
		}
	}
	r.leases[l.Name] = times
}

// drop forgets a Lease that is gone.
func (r *renewals) drop(lease string) {
	delete(r.leases, lease)
	delete(r.wrote, lease)
}

// obsolete are the Leases of other replicas that speak of no session any more:
// a replica that is gone for good deletes none of its own. known says which
// sessions there are.
func (r *renewals) obsolete(identity string, known func(id string) bool) (leases []string) {
	own := map[string]bool{}
	for part := range parts {
		own[partName(identity, part)] = true
	}
	for name, times := range r.leases {
		speaks := false
		for id := range times {
			speaks = speaks || known(id)
		}
		if !speaks && !own[name] {
			leases = append(leases, name)
		}
	}
	return leases
}

// renew notes a renewal, and reports whether it must be written at once.
func (r *renewals) renew(identity string, s *session.Session, now time.Time) (writeNow bool) {
	part := partOf(s.ID)
	name := partName(identity, part)
	if r.leases[name] == nil {
		r.leases[name] = map[string]time.Time{}
	}
	known := s.Created
	if at := r.written[s.ID]; at.After(known) {
		known = at
	}
	r.leases[name][s.ID], r.latest[s.ID], r.dirty[part] = now, now, true
	return known.Add(s.TTL).Before(now.Add(urgent))
}

// forget drops a session that has ended.
func (r *renewals) forget(id string) {
	delete(r.latest, id)
	delete(r.written, id)
	for _, times := range r.leases {
		delete(times, id)
	}
}

// flushOften writes the renewals until ctx ends, and what is left then.
func (k *Controller) flushOften(ctx context.Context) {
	ticker := time.NewTicker(flushPause)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), callLimit)
			defer cancel()
			k.flushAll(last)
			return
		case <-ticker.C:
		case <-k.flush:
		}
		k.flushAll(ctx)
	}
}

// flushAll writes the parts that changed.
func (k *Controller) flushAll(ctx context.Context) {
	k.mu.Lock()
	var changed []int
	for part := range k.renewals.dirty {
		changed = append(changed, part)
	}
	k.mu.Unlock()
	for _, part := range changed {
		if err := k.flushPart(ctx, part); err != nil && ctx.Err() == nil {
			k.Log.Warn().Err(err).Msg("cannot write the renewals of sessions; they are written with the next")
		}
	}
}

func (k *Controller) flushPart(ctx context.Context, part int) error {
	name := partName(k.Identity, part)
	k.mu.Lock()
	times := make(map[string]time.Time, len(k.renewals.leases[name]))
	seconds := make(map[string]int64, len(k.renewals.leases[name]))
	for id, at := range k.renewals.leases[name] {
		times[id], seconds[id] = at, at.Unix()
	}
	delete(k.renewals.dirty, part)
	stored := k.renewals.stored[part]
	k.mu.Unlock()
	err := k.writePart(ctx, name, seconds, stored)
	k.mu.Lock()
	defer k.mu.Unlock()
	if err != nil {
		k.metrics.lost.Inc()
		k.renewals.dirty[part] = true
		return err
	}
	k.renewals.stored[part] = true
	for id, at := range times {
		k.renewals.written[id] = at
	}
	k.metrics.flushes.Inc()
	return nil
}

// writePart writes a part: a patch, as the API server takes no update of a Lease
// without the resourceVersion, and nobody else writes this one.
func (k *Controller) writePart(ctx context.Context, name string, seconds map[string]int64, stored bool) error {
	content, err := json.Marshal(seconds)
	if err != nil {
		return fmt.Errorf("encode %s: %w", name, err)
	}
	now := metav1.NowMicro()
	lease := &coordinationv1.Lease{
		ObjectMeta: metav1.ObjectMeta{
			Name:        name,
			Labels:      map[string]string{session.Label: session.LabelRenewals},
			Annotations: map[string]string{renewalsAnnotation: string(content)},
		},
		Spec: coordinationv1.LeaseSpec{HolderIdentity: &k.Identity, RenewTime: &now},
	}
	leases := k.Client.CoordinationV1().Leases(k.Namespace)
	patch := func() error {
		content, err := json.Marshal(lease)
		if err != nil {
			return fmt.Errorf("encode %s: %w", name, err)
		}
		_, err = leases.Patch(ctx, name, types.MergePatchType, content, metav1.PatchOptions{})
		return err
	}
	if stored {
		if err := patch(); !apierrors.IsNotFound(err) {
			return err
		}
	}
	_, err = leases.Create(ctx, lease, metav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) {
		err = patch()
	}
	return err
}
