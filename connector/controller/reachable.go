package controller

import (
	"context"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"heteroaccel.io/connector/session"
)

// object is a thing that makes a server reachable: its Service or its route. Its
// name follows from the server's, so that whoever creates it, there is one.
type object struct {
	kind string
	// write creates it, or deletes it as it was seen.
	write func(context.Context) error
	// undo takes back what the table was told of the write.
	undo func()
}

// provide creates an object of a server. The caller holds the lock.
func (k *Controller) provide(ctx context.Context, v *session.Server, o object) {
	k.write(ctx, func(ctx context.Context) {
		err := o.write(ctx)
		k.mu.Lock()
		defer k.mu.Unlock()
		if err == nil {
			delete(k.failures, v.Pool)
			return
		}
		o.undo()
		k.fail(v.Pool, time.Now(), fmt.Errorf("create the %s of %s: %w", o.kind, v.Name, err), k.profileUID(v.Pool))
	})
}

// discard deletes an object that is not what the server of that name needs: the
// next plan creates it anew. The caller holds the lock.
func (k *Controller) discard(ctx context.Context, server string, o object) {
	k.write(ctx, func(ctx context.Context) {
		err := o.write(ctx)
		if err == nil || apierrors.IsNotFound(err) {
			return // its event tells
		}
		k.mu.Lock()
		defer k.mu.Unlock()
		o.undo()
		if v := k.table.Server(server); v != nil && !apierrors.IsConflict(err) {
			k.fail(v.Pool, time.Now(), fmt.Errorf("delete the %s of %s, which somebody has changed: %w", o.kind, server, err), k.profileUID(v.Pool))
		}
	})
}

// asSeen has an object deleted only as it was seen.
func asSeen(uid, version string) metav1.DeleteOptions {
	return metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: new(types.UID(uid)), ResourceVersion: &version}}
}

// relocated has the pool of a server, unless it is nil, planned for, and its
// clients told. The caller holds the lock.
func (k *Controller) relocated(v *session.Server) {
	if v != nil {
		k.note(v.Pool)
		k.tellAll(v.Pool)
	}
}

// profileUID is the uid of a pool's profile, "" when that is not there.
func (k *Controller) profileUID(p session.Pool) string {
	if known, ok := k.Profiles.Get(p.Inference); ok {
		return string(known.UID)
	}
	return ""
}

// failed is why no server of a pool could be created or reached, "" if one could.
// The caller holds the lock.
func (k *Controller) failed(p session.Pool) string {
	if f, failed := k.failures[p]; failed {
		return f.err.Error()
	}
	return ""
}
