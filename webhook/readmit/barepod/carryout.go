package barepod

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"heteroaccel.io/webhook/readmit/podapi"
	"heteroaccel.io/webhook/replacement"
)

// errInBackground says that a record is not carried out yet: that goes on in the
// background.
var errInBackground = errors.New("the pod is deleted, and created as soon as the API server admits it")

const (
	// promptTries is how often a create that the API server refuses is tried in
	// quick succession: once for every kind that the pod may have, and some. From
	// then on it is tried every refusedWait: somebody must change something.
	promptTries = 8
	refusedWait = 5 * time.Minute
)

// carryOut carries out a stored record: delete, create, remove. It can be started
// any number of times, by this process or the next. fresh is set the first
// time: then a pod that is not there was deleted by somebody else.
//
// Only an answer of the API server ends a step. While a delete has none it is
// sent again: it is bound to the resourceVersion, so once the pod has changed,
// none that is still under way can hit it, and only then is the pod left alone.
func (r *Recreator) carryOut(ctx context.Context, stored *corev1.Secret, fresh bool) error {
	var rec Record
	if err := json.Unmarshal(stored.Data[recordField], &rec); err != nil {
		return fmt.Errorf("read the record in secret %s/%s: %w; see what it holds, then delete it", r.Namespace, stored.Name, err)
	}
	r.markName(stored.Name, rec.Namespace)
	deleted, err := r.deleteOld(ctx, &rec, fresh)
	if err != nil {
		return err
	}
	if !deleted {
		r.remove(ctx, stored)
		return podapi.ErrChanged
	}
	creating := ctx
	if fresh { // usually the first try succeeds; if not for a while, others need the worker
		var cancel context.CancelFunc
		creating, cancel = context.WithTimeout(ctx, 2*time.Second)
		defer cancel()
	}
	switch done, err := r.createNew(creating, stored, &rec); {
	case done:
		r.remove(ctx, stored)
		return nil
	case errors.Is(err, errOtherReplica):
		r.freeName(stored.Name)
		return err
	}
	r.Go(func() { r.resume(ctx, stored.Name) })
	return errInBackground
}

// deleteOld deletes the pod of a record, unless it has changed since. deleted
// says that its name is free because of that.
func (r *Recreator) deleteOld(ctx context.Context, rec *Record, fresh bool) (deleted bool, err error) {
	tries := 0
	r.Pods.UntilDone(ctx, "delete a pod that is to be recreated", func(context.Context) error {
		tries++
		err = r.Pods.Delete(ctx, rec.key(), metav1.Preconditions{UID: &rec.UID, ResourceVersion: &rec.ResourceVersion})
		switch {
		case err == nil:
			deleted = true
		case apierrors.IsNotFound(err):
			deleted, err = !fresh || tries > 1, nil
		case apierrors.IsConflict(err):
			err = nil
		case podapi.Definite(err):
			r.Pods.Log.Error().Err(err).Msg("recreate pod: delete refused, the pod is left alone")
			err = nil
		}
		return err
	})
	if err == nil {
		err = ctx.Err()
	}
	return deleted, err
}

// createNew creates the pod of a record; done once it is there, or cannot be any
// more. The error is errOtherReplica, or that of a context which ended.
func (r *Recreator) createNew(ctx context.Context, stored *corev1.Secret, rec *Record) (done bool, err error) {
	for tries := 1; ; tries++ {
		acquired, err := r.acquire(ctx, stored, tries)
		if errors.Is(err, errOtherReplica) {
			return false, err
		}
		wait := min(50*time.Millisecond<<min(tries, 20), 30*time.Second)
		if err == nil {
			stored = acquired
			if err = r.tryToCreate(ctx, rec); err == nil {
				return true, nil
			}
			if podapi.Definite(err) {
				r.noteRefused(ctx, stored.Name, rec, err, tries)
				if tries >= promptTries {
					wait = refusedWait
				}
			}
		}
		if ctx.Err() == nil {
			r.Pods.Log.Warn().Err(err).Str("pod", rec.Namespace+"/"+rec.Name).Dur("retry_in", wait).Msg("recreate pod: deleted, not created yet")
		}
		select {
		case <-ctx.Done():
			return false, ctx.Err()
		case <-time.After(wait):
		}
	}
}

// tryToCreate creates the pod of a record once. It is no error that the pod
// cannot be there any more.
func (r *Recreator) tryToCreate(ctx context.Context, rec *Record) error {
	r.expect(rec)
	err := r.Pods.CreateRaw(ctx, rec.Namespace, rec.Pod, false)
	switch {
	case apierrors.IsAlreadyExists(err):
		return r.otherPod(ctx, rec)
	case apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause), apierrors.IsNotFound(err):
		r.Pods.Log.Info().Str("pod", rec.Namespace+"/"+rec.Name).Msg("recreate pod: not created, its namespace is being deleted")
		return nil
	}
	return err
}

// expect makes sure that the new pod is expected: after a restart, or when an
// earlier try was refused, it is not.
func (r *Recreator) expect(rec *Record) {
	origin := replacement.OriginOf(rec.Namespace, "", rec.Name)
	r.Expected.AddUnlessPending(origin, &replacement.Expected{Count: rec.Count, From: rec.From, Kind: rec.To, FirstAdmitted: rec.FirstAdmitted}, time.Now())
}

// otherPod returns nil when the pod of the name is another than the record's:
// then it is the one that was to be created.
func (r *Recreator) otherPod(ctx context.Context, rec *Record) error {
	pod, err := r.Pods.Get(ctx, rec.key())
	if err == nil && pod.UID == rec.UID {
		return errors.New("the pod that was deleted is still there")
	}
	return err
}
