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
)

// errLeft says that a record is still to be finished, which goes on in the
// background.
var errLeft = errors.New("the pod will be created as soon as the API server lets it")

// finish carries out a kept record: delete, create, forget. It can be begun
// any number of times, by this process or the next. fresh is set the first
// time: then a pod that is not there was deleted by somebody else.
//
// Only an answer of the API server ends a step. While a delete has none it is
// sent again: it is bound to the resourceVersion, so once the pod has changed,
// none that is still under way can hit it, and only then is the pod left.
func (r *Readmitter) finish(ctx context.Context, slot string, content []byte, fresh bool) error {
	var rec record
	if err := json.Unmarshal(content, &rec); err != nil {
		return fmt.Errorf("read the record in secret %s/%s: %w; see what it holds, then delete it", r.Namespace, slot, err)
	}
	gone, err := r.vacate(ctx, &rec, fresh)
	if err != nil {
		return err
	}
	if !gone {
		r.forget(ctx, slot)
		return errLost
	}
	putting := ctx
	if fresh { // usually the first try succeeds; if not for a while, others need the room
		var cancel context.CancelFunc
		putting, cancel = context.WithTimeout(ctx, 2*time.Second)
		defer cancel()
	}
	if r.put(putting, &rec) {
		r.forget(ctx, slot)
		return nil
	}
	r.tasks.Go(func() { r.resume(ctx, slot) })
	return errLeft
}

// vacate deletes the pod of a record, unless it has changed since. gone says
// that its place is free because of that.
func (r *Readmitter) vacate(ctx context.Context, rec *record, fresh bool) (gone bool, err error) {
	tries := 0
	r.untilDone(ctx, "delete a pod that is to be made again", func(context.Context) error {
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
			r.Log.Error().Err(err).Msg("a pod that was to be made again is left")
			err = nil
		}
		return err
	})
	if err == nil {
		err = ctx.Err()
	}
	return gone, err
}

// put creates the pod of a record; true once it is there, or has no place any
// more.
func (r *Readmitter) put(ctx context.Context, rec *record) (done bool) {
	p := placeOf(rec.Namespace, "", rec.Name)
	r.untilDone(ctx, "create a pod that was deleted to be made again", func(context.Context) error {
		r.expect(p, rec)
		err := r.create(ctx, rec.Namespace, rec.Pod, false)
		switch {
		case err == nil:
		case apierrors.IsAlreadyExists(err):
			err = r.taken(ctx, rec)
		case apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause), apierrors.IsNotFound(err):
			r.Log.Info().Str("pod", rec.Namespace+"/"+rec.Name).Msg("a pod is not created again: its namespace goes")
			err = nil
		}
		done = err == nil
		return err
	})
	return done
}

// expect sees to it that there is a ticket for the pod: after a restart, or
// when an earlier try was refused, there is none.
func (r *Readmitter) expect(p place, rec *record) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.tickets[p]) == 0 {
		r.tickets.issue(p, &Ticket{Count: rec.Count, From: rec.From, Kind: rec.To}, time.Now())
	}
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

// recover looks for records, and finishes those it finds. Until a name was
// looked at, no record is kept under it.
func (r *Readmitter) recover(ctx context.Context) {
	for _, slot := range Slots {
		r.mu.Lock()
		r.slots[slot] = true
		r.mu.Unlock()
	}
	for _, slot := range Slots {
		r.tasks.Go(func() { r.resume(ctx, slot) })
	}
}

// resume finishes the record that a Secret has, if it has one, in the
// background if it must.
func (r *Readmitter) resume(ctx context.Context, slot string) {
	var secret *corev1.Secret
	r.untilDone(ctx, "look for records of pods to be made again", func(ctx context.Context) (err error) {
		secret, err = r.Client.CoreV1().Secrets(r.Namespace).Get(ctx, slot, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			secret, err = nil, nil
		}
		return err
	})
	switch {
	case ctx.Err() != nil: // the next term begins by looking
	case secret == nil:
		r.freeSlot(slot)
	default:
		r.Log.Info().Str("secret", slot).Msg("a pod that was to be made again is found")
		if err := r.finish(ctx, slot, secret.Data[recordField], false); err != nil {
			r.Log.Info().Err(err).Str("secret", slot).Msg("it is not made again now")
		}
	}
}

// takeSlot returns a name that is free.
func (r *Readmitter) takeSlot() (string, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, slot := range Slots {
		if used, known := r.slots[slot]; known && !used {
			r.slots[slot] = true
			return slot, true
		}
	}
	return "", false
}

func (r *Readmitter) freeSlot(slot string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.slots[slot] = false
}
