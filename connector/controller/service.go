package controller

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

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
	if old := k.table.Service(s.Server); old != nil && k.stale(s.Version, old.Version) {
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

// expose creates the Service of a server. The caller holds the lock.
func (k *Controller) expose(ctx context.Context, v *session.Server) {
	service := session.ServiceFor(v, k.Namespace)
	if planned, ok := session.OfService(service); ok {
		k.table.PutService(planned) // so that it is not planned twice
	}
	k.provide(ctx, v, object{
		kind: "Service",
		write: func(ctx context.Context) error {
			services := k.Client.CoreV1().Services(k.Namespace)
			created, err := services.Create(ctx, service, metav1.CreateOptions{})
			if apierrors.IsAlreadyExists(err) {
				created, err = services.Get(ctx, service.Name, metav1.GetOptions{})
			}
			if err == nil {
				k.setService(created)
			}
			return err
		},
		undo: func() {
			if now := k.table.Service(v.Name); now != nil && now.Version == "" {
				k.table.RemoveService(v.Name)
			}
		},
	})
}

// withdraw deletes a Service that somebody has changed. The caller holds the lock.
func (k *Controller) withdraw(ctx context.Context, s *session.Service) {
	gone := *s
	gone.Gone = true
	k.table.PutService(&gone)
	k.discard(ctx, s.Server, object{
		kind: "Service",
		write: func(ctx context.Context) error {
			return k.Client.CoreV1().Services(k.Namespace).Delete(ctx, session.ServiceName(s.Server), asSeen(s.UID, s.Version))
		},
		undo: func() {
			if now := k.table.Service(s.Server); now != nil && now.Version == s.Version {
				k.table.PutService(s)
			}
		},
	})
}
