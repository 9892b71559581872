package controller

import (
	"context"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// sweep deletes the renewals of replicas that are gone. One that is alive writes
// its Lease anew with its next renewal. The caller holds the lock.
func (k *Controller) sweep(ctx context.Context) {
	for _, name := range k.renewals.obsolete(k.Identity, func(id string) bool { return k.table.Session(id) != nil }) {
		k.renewals.drop(name)
		k.write(ctx, func(ctx context.Context) {
			err := k.Client.CoordinationV1().Leases(k.Namespace).Delete(ctx, name, metav1.DeleteOptions{})
			if err != nil && !apierrors.IsNotFound(err) {
				k.Log.Info().Err(err).Str("lease", name).Msg("cannot delete the renewals of a replica that is gone")
			}
		})
	}
}
