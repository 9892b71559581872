package controller

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	utilrand "k8s.io/apimachinery/pkg/util/rand"

	"heteroaccel.io/connector/session"
	"heteroaccel.io/pkg/profile"
	"heteroaccel.io/pkg/profile/v1alpha1"
)

// step ends what has expired and carries out the plans of the pools that
// changed. Nothing expires before a time. It returns when to be called again
// without any change, the zero time for never.
func (k *Controller) step(ctx context.Context, now, noExpiryBefore time.Time) (next time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	soon := func(at time.Time) {
		if !at.IsZero() && (next.IsZero() || at.Before(next)) {
			next = at
		}
	}
	if now.Before(noExpiryBefore) {
		soon(noExpiryBefore)
	} else {
		expired, at := k.table.Expired(now)
		soon(at)
		for _, s := range expired {
			k.metrics.ended.WithLabelValues("expired").Inc()
			k.endLocked(ctx, s)
		}
	}
	if now.Sub(k.swept) > sweepPause {
		k.swept = now
		k.sweep(ctx)
	}
	for p, at := range k.due {
		if !now.Before(at) {
			k.dirty[p] = struct{}{}
		}
	}
	for p := range k.dirty {
		delete(k.dirty, p)
		delete(k.due, p)
		if at := k.carryOut(ctx, p, now); !at.IsZero() {
			k.due[p] = at
		}
	}
	for _, at := range k.due {
		soon(at)
	}
	return next
}

// carryOut plans for a pool and starts what is to be written. The table shows
// the outcome at once, so that nothing is planned twice; a write that fails has
// the object read again. The caller holds the lock.
func (k *Controller) carryOut(ctx context.Context, p session.Pool, now time.Time) (again time.Time) {
	plan := k.table.Plan(p, k.limits(p), now)
	for id, server := range plan.Assign {
		next := *k.table.Session(id)
		next.Server = server
		k.metrics.waits.Observe(now.Sub(next.Created).Seconds())
		k.change(ctx, &next)
	}
	for _, s := range plan.Requeue {
		next := *s
		next.Server = ""
		next.Moves++
		k.metrics.moves.Inc()
		k.change(ctx, &next)
	}
	for _, v := range plan.Delete {
		k.deleteServer(ctx, v)
	}
	for _, v := range plan.Idle {
		k.markIdle(ctx, v, now)
	}
	for _, v := range plan.Busy {
		k.markIdle(ctx, v, time.Time{})
	}
	if again = plan.Again; plan.Create+len(plan.Expose)+len(plan.Withdraw)+len(plan.Attach)+len(plan.Detach) == 0 {
		return again
	}
	if f, failed := k.failures[p]; failed && now.Before(f.until) {
		if again.IsZero() || f.until.Before(again) {
			again = f.until
		}
		return again
	}
	for range plan.Create {
		if !k.createServer(ctx, p, now) {
			break
		}
	}
	for _, v := range plan.Expose {
		k.expose(ctx, v)
	}
	for _, s := range plan.Withdraw {
		k.withdraw(ctx, s)
	}
	for _, v := range plan.Attach {
		k.attach(ctx, v)
	}
	for _, r := range plan.Detach {
		k.detach(ctx, r)
	}
	return again
}

// createServer creates one more server of a pool; false when its profile has
// nothing to create one from. The caller holds the lock.
func (k *Controller) createServer(ctx context.Context, p session.Pool, now time.Time) bool {
	known, ok := k.Profiles.Get(p.Inference)
	if missing := k.Profiles.CRD(); !ok && errors.Is(missing, profile.ErrNoCRD) {
		k.fail(p, now, missing, "")
		return false
	}
	if !ok || known.Template == nil {
		k.fail(p, now, fmt.Errorf("InferenceProfile %s is not there, or has no template: give it spec.template", p.Inference), "")
		return false
	}
	name := fmt.Sprintf("%.50s-%s", strings.ReplaceAll(p.Inference, ".", "-"), utilrand.String(6))
	reach := session.Reach(cmp.Or(known.ServerAddress, string(k.Reach)))
	pod, err := session.Pod(known.Template, p, reach, k.Namespace, name)
	if err != nil {
		k.Log.Error().Err(err).Msg("cannot make a server's pod")
		return false
	}
	k.table.PutServer(&session.Server{Name: name, Pool: p, Phase: session.Waiting, Created: now})
	k.write(ctx, func(ctx context.Context) {
		created, err := k.Client.CoreV1().Pods(k.Namespace).Create(ctx, pod, metav1.CreateOptions{})
		k.mu.Lock()
		defer k.mu.Unlock()
		if err != nil {
			// It may be there all the same, and have been seen.
			if v := k.table.Server(name); v != nil && v.Version == "" {
				k.table.RemoveServer(name)
			}
			k.fail(p, time.Now(), err, string(known.UID))
			return
		}
		delete(k.failures, p)
		if v, err := session.OfPod(created); err == nil {
			if old := k.table.Server(name); old == nil || old.Version == "" {
				k.putServer(v)
			}
		}
	})
	return true
}

// fail notes why a server could not be created. The caller holds the lock.
func (k *Controller) fail(p session.Pool, now time.Time, err error, uid string) {
	if !k.leads() {
		return // the term is over, and no fault of the API server's
	}
	f := k.failures[p]
	pause := min(firstPause<<min(f.tries, 10), longestPause)
	f = failure{err: err, tries: f.tries + 1, until: now.Add(pause)}
	k.failures[p] = f
	k.metrics.failures.Inc()
	k.Log.Warn().Err(err).Str("inference", p.Inference).Int("tries", f.tries).Msg("cannot create an inference server")
	k.event(p, "Create", fmt.Sprintf("cannot create an inference server: %v", err), uid)
	k.note(p)
	k.tellAll(p)
}

// event tells of a pool that cannot be served on its profile, whose uid is "" when
// it is not there.
func (k *Controller) event(p session.Pool, action, text, uid string) {
	if uid == "" {
		return
	}
	// The reference has what the recorder needs, without the object.
	k.Recorder.Eventf(&corev1.ObjectReference{
		APIVersion: v1alpha1.SchemeGroupVersion.String(), Kind: "InferenceProfile", Name: p.Inference, UID: types.UID(uid),
	}, nil, corev1.EventTypeWarning, "CannotServe", action, "%s", text)
}

// deleteServer deletes a server that is as it was seen last. The caller holds
// the lock.
func (k *Controller) deleteServer(ctx context.Context, v *session.Server) {
	if v.Version == "" {
		return // it is being created: once it is there, the pool is planned for again
	}
	gone := *v
	gone.Phase = session.Gone
	k.table.PutServer(&gone)
	k.write(ctx, func(ctx context.Context) {
		pods := k.Client.CoreV1().Pods(k.Namespace)
		err := pods.Delete(ctx, v.Name, metav1.DeleteOptions{Preconditions: &metav1.Preconditions{ResourceVersion: &v.Version}})
		if err == nil {
			return
		}
		k.mu.Lock()
		defer k.mu.Unlock()
		if apierrors.IsNotFound(err) {
			k.table.RemoveServer(v.Name)
		} else if now := k.table.Server(v.Name); now != nil && now.Phase == session.Gone && now.Version == v.Version {
			k.table.PutServer(v) // its next event, or the next plan, tells
		} else if now != nil {
			k.table.RemoveServer(v.Name)
			k.mu.Unlock()
			k.rereadServer(ctx, v.Name)
			k.mu.Lock()
		}
		k.note(v.Pool)
	})
}

func (k *Controller) rereadServer(ctx context.Context, name string) {
	pod, err := k.Client.CoreV1().Pods(k.Namespace).Get(ctx, name, metav1.GetOptions{})
	if err == nil {
		k.setPod(pod)
	}
}

// markIdle notes on a server since when it has no session, the zero time for
// none. The caller holds the lock.
func (k *Controller) markIdle(ctx context.Context, v *session.Server, since time.Time) {
	next, value := *v, "null"
	if next.Idle = since; !since.IsZero() {
		value = fmt.Sprintf("%q", since.UTC().Format(time.RFC3339Nano))
	}
	k.table.PutServer(&next)
	patch := fmt.Appendf(nil, `{"metadata":{"annotations":{%q:%s}}}`, session.IdleAnnotation, value)
	k.write(ctx, func(ctx context.Context) {
		_, err := k.Client.CoreV1().Pods(k.Namespace).Patch(ctx, v.Name, types.MergePatchType, patch, metav1.PatchOptions{})
		if err != nil && !apierrors.IsNotFound(err) {
			k.Log.Info().Err(err).Str("pod", v.Name).Msg("cannot note since when a server is idle")
		}
	})
}

// length takes how long a session was served. The caller holds the lock.
func (k *Controller) length(p session.Pool, served time.Duration) {
	if old, ok := k.lengths[p]; ok {
		served = old + (served-old)/8
	}
	k.lengths[p] = served
}
