package barepod

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Recover looks for the records that an earlier term left, and carries them out.
// Until a name was looked at, no record is stored under it.
func (r *Recreator) Recover(ctx context.Context) {
	r.mu.Lock()
	for _, name := range RecordNames {
		r.names[name] = unknownNamespace
	}
	clear(r.refused)
	r.mu.Unlock()
	r.publish(ctx) // what the replica before this one published may be over
	for _, name := range RecordNames {
		r.Go(func() { r.resume(ctx, name) })
	}
}

// unknownNamespace stands for that of a record that was not read yet.
const unknownNamespace = "?"

// resume carries out the record that a Secret has, if it has one.
func (r *Recreator) resume(ctx context.Context, name string) {
	var secret *corev1.Secret
	r.Pods.UntilDone(ctx, "look for the record of a pod that is to be recreated", func(ctx context.Context) (err error) {
		secret, err = r.Pods.CoreV1().Secrets(r.Namespace).Get(ctx, name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			secret, err = nil, nil
		}
		return err
	})
	switch {
	case ctx.Err() != nil: // the next term begins by looking
	case secret == nil:
		r.freeName(name)
	default:
		r.Pods.Log.Info().Str("secret", name).Msg("found the record of a pod that is to be recreated")
		if err := r.carryOut(ctx, secret, false); err != nil {
			r.Pods.Log.Info().Err(err).Str("secret", name).Msg("recreate pod from its record: not now")
		}
	}
}
