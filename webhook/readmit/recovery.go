package readmit

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"heteroaccel.io/webhook/readmit/barepod"
)

// recoverRecords looks for records, and finishes those it finds. Until a name
// was looked at, no record is kept under it.
func (r *Readmitter) recoverRecords(ctx context.Context) {
	r.mu.Lock()
	for _, slot := range barepod.RecordNames {
		r.slots[slot] = unknownNamespace
	}
	clear(r.unwanted)
	r.mu.Unlock()
	r.publish() // what the replica before this one said may be over
	for _, slot := range barepod.RecordNames {
		r.tasks.Go(func() { r.resume(ctx, slot) })
	}
}

// unknownNamespace stands for that of a record that was not read yet.
const unknownNamespace = "?"

// resume finishes the record that a Secret has, if it has one, in the
// background if it must.
func (r *Readmitter) resume(ctx context.Context, slot string) {
	var secret *corev1.Secret
	r.untilDone(ctx, "look for records of pods to be recreated", func(ctx context.Context) (err error) {
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
		r.Log.Info().Str("secret", slot).Msg("a pod that was to be recreated is found")
		if err := r.finish(ctx, secret, false); err != nil {
			r.Log.Info().Err(err).Str("secret", slot).Msg("it is not recreated now")
		}
	}
}
