package readmit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"heteroaccel.io/webhook/refusals"
	"heteroaccel.io/webhook/replacement"
)

// errLeft says that a record is still to be finished, which goes on in the
// background.
var errLeft = errors.New("the pod will be created as soon as the API server lets it")

const (
	// promptTries is how often a create that the API server refuses is tried in
	// quick succession: once for every kind that the pod may have, and some. From
	// then on it is tried once in a while, as somebody must change something.
	promptTries = 8
	refusedWait = 5 * time.Minute
)

// finish carries out a kept record: delete, create, forget. It can be begun
// any number of times, by this process or the next. fresh is set the first
// time: then a pod that is not there was deleted by somebody else.
//
// Only an answer of the API server ends a step. While a delete has none it is
// sent again: it is bound to the resourceVersion, so once the pod has changed,
// none that is still under way can hit it, and only then is the pod left.
func (r *Readmitter) finish(ctx context.Context, kept *corev1.Secret, fresh bool) error {
	var rec record
	if err := json.Unmarshal(kept.Data[recordField], &rec); err != nil {
		return fmt.Errorf("read the record in secret %s/%s: %w; see what it holds, then delete it", r.Namespace, kept.Name, err)
	}
	r.occupy(kept.Name, rec.Namespace)
	gone, err := r.vacate(ctx, &rec, fresh)
	if err != nil {
		return err
	}
	if !gone {
		r.forget(ctx, kept)
		return errLost
	}
	putting := ctx
	if fresh { // usually the first try succeeds; if not for a while, others need the room
		var cancel context.CancelFunc
		putting, cancel = context.WithTimeout(ctx, 2*time.Second)
		defer cancel()
	}
	switch done, err := r.put(putting, kept, &rec); {
	case done:
		r.forget(ctx, kept)
		return nil
	case errors.Is(err, errTaken):
		r.freeSlot(kept.Name)
		return err
	}
	r.tasks.Go(func() { r.resume(ctx, kept.Name) })
	return errLeft
}

// vacate deletes the pod of a record, unless it has changed since. gone says
// that its place is free because of that.
func (r *Readmitter) vacate(ctx context.Context, rec *record, fresh bool) (gone bool, err error) {
	tries := 0
	r.untilDone(ctx, "delete a pod that is to be recreated", func(context.Context) error {
		tries++
		err = r.deletePod(ctx, rec.Namespace, rec.Name, metav1.Preconditions{UID: &rec.UID, ResourceVersion: &rec.ResourceVersion})
		switch {
		case err == nil:
			gone = true
		case apierrors.IsNotFound(err):
			gone, err = !fresh || tries > 1, nil
		case apierrors.IsConflict(err):
			err = nil
		case definite(err):
			r.Log.Error().Err(err).Msg("a pod that was to be recreated is left")
			err = nil
		}
		return err
	})
	if err == nil {
		err = ctx.Err()
	}
	return gone, err
}

// put creates the pod of a record; done once it is there, or has no place any
// more. The error is errTaken, or that of a context which ended.
func (r *Readmitter) put(ctx context.Context, kept *corev1.Secret, rec *record) (done bool, err error) {
	for tries := 1; ; tries++ {
		held, err := r.hold(ctx, kept, tries)
		if errors.Is(err, errTaken) {
			return false, err
		}
		wait := min(50*time.Millisecond<<min(tries, 20), 30*time.Second)
		if err == nil {
			kept = held
			if err = r.tryToPut(ctx, rec); err == nil {
				return true, nil
			}
			if definite(err) {
				r.unwelcome(kept.Name, rec, err, tries)
				if tries >= promptTries {
					wait = refusedWait
				}
			}
		}
		if ctx.Err() == nil {
			r.Log.Warn().Err(err).Str("pod", rec.Namespace+"/"+rec.Name).Dur("again in", wait).Msg("create a pod that was deleted to be recreated")
		}
		select {
		case <-ctx.Done():
			return false, ctx.Err()
		case <-time.After(wait):
		}
	}
}

// tryToPut creates the pod of a record once. It is no error that the pod has no
// place any more.
func (r *Readmitter) tryToPut(ctx context.Context, rec *record) error {
	r.expect(rec)
	err := r.create(ctx, rec.Namespace, rec.Pod, false)
	switch {
	case apierrors.IsAlreadyExists(err):
		return r.taken(ctx, rec)
	case apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause), apierrors.IsNotFound(err):
		r.Log.Info().Str("pod", rec.Namespace+"/"+rec.Name).Msg("a pod is not recreated: its namespace goes")
		return nil
	}
	return err
}

// unwelcome notes that the API server refused to create the pod of a record:
// the next try is for another kind. Once all were tried, whoever looks after the
// profile is told.
func (r *Readmitter) unwelcome(slot string, rec *record, err error, tries int) {
	lost, _ := r.Refusals.CreateFailed(refusals.OwnerOf(rec.Namespace, "", rec.Name, ""), err.Error())
	for _, id := range lost {
		r.Inventory.Release(rec.Namespace, id)
	}
	r.notRecreated(slot, rec, err)
	if tries == promptTries {
		r.tellProfile(slot, rec, err)
	}
}

// expect sees to it that there is a ticket for the pod: after a restart, or
// when an earlier try was refused, there is none.
func (r *Readmitter) expect(rec *record) {
	p := replacement.OriginOf(rec.Namespace, "", rec.Name)
	r.expected.AddUnlessPending(p, &replacement.Expected{Count: rec.Count, From: rec.From, Kind: rec.To}, time.Now())
}

// taken says why a pod of the name stands in the way: nil when it is another
// than the record's, which then is the one that was to be.
func (r *Readmitter) taken(ctx context.Context, rec *record) error {
	ctx, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	pod, err := r.Client.CoreV1().Pods(rec.Namespace).Get(ctx, rec.Name, metav1.GetOptions{})
	if err == nil && pod.UID == rec.UID {
		return errors.New("the pod that was deleted is still there")
	}
	return err
}
