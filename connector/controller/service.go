package controller

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"heteroaccel.io/connector/session"
)

// setService takes a Service from the API server, unless what is known is newer.
func (k *Controller) setService(in *corev1.Service) {
	s, ok := session.OfService(in)
	if !ok {
		k.Log.Warn().Str("service", in.Name).Msg("a service is not a server's, and is left alone")
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if old := k.table.Service(s.Server); old != nil && !newer(s.Version, old.Version) {
		return
	}
	k.table.PutService(s)
	k.relocated(k.table.Server(s.Server))
}

// removeService takes a Service's leaving.
func (k *Controller) removeService(name string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if server, ok := session.ServerOf(name); ok {
		k.table.RemoveService(server)
		k.relocated(k.table.Server(server))
	}
}

// setNode takes the external address of a node, "" for none.
func (k *Controller) setNode(name, external string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, v := range k.table.SetNode(name, external) {
		k.relocated(v)
	}
}

// relocated has the pool of a server, unless it is nil, planned for, and its
// clients told. The caller holds the lock.
func (k *Controller) relocated(v *session.Server) {
	if v != nil {
		k.note(v.Pool)
		k.tellAll(v.Pool)
	}
}

// expose creates the Service of a server. Its name follows from the server's, so
// that whoever creates it, there is one. The caller holds the lock.
func (k *Controller) expose(ctx context.Context, v *session.Server) {
	service := session.ServiceFor(v, k.Namespace)
	if planned, ok := session.OfService(service); ok {
		k.table.PutService(planned) // so that it is not planned twice
	}
	k.write(ctx, func(ctx context.Context) {
		services := k.Client.CoreV1().Services(k.Namespace)
		created, err := services.Create(ctx, service, metav1.CreateOptions{})
		if apierrors.IsAlreadyExists(err) {
			created, err = services.Get(ctx, service.Name, metav1.GetOptions{})
		}
		if err == nil {
			k.setService(created)
		}
		k.mu.Lock()
		defer k.mu.Unlock()
		if err == nil {
			delete(k.failures, v.Pool)
			return
		}
		if now := k.table.Service(v.Name); now != nil && now.Version == "" {
			k.table.RemoveService(v.Name)
		}
		k.fail(v.Pool, time.Now(), fmt.Errorf("create the Service of %s: %w", v.Name, err), k.profileUID(v.Pool))
	})
}

// withdraw deletes a Service that is not what its server needs: the next plan
// creates it anew. The caller holds the lock.
func (k *Controller) withdraw(ctx context.Context, s *session.Service) {
	gone := *s
	gone.Gone = true
	k.table.PutService(&gone)
	k.write(ctx, func(ctx context.Context) {
		uid := types.UID(s.UID)
		err := k.Client.CoreV1().Services(k.Namespace).Delete(ctx, session.ServiceName(s.Server), metav1.DeleteOptions{
			Preconditions: &metav1.Preconditions{UID: &uid, ResourceVersion: &s.Version},
		})
		if err == nil || apierrors.IsNotFound(err) {
			return // its event tells
		}
		k.mu.Lock()
		defer k.mu.Unlock()
		if now := k.table.Service(s.Server); now != nil && now.Version == s.Version {
			k.table.PutService(s)
		}
		if v := k.table.Server(s.Server); v != nil && !apierrors.IsConflict(err) {
			k.fail(v.Pool, time.Now(), fmt.Errorf("delete the Service of %s, which somebody has changed: %w", s.Server, err), k.profileUID(v.Pool))
		}
	})
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
