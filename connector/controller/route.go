package controller

import (
	"context"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"heteroaccel.io/connector/gatewayapi"
	"heteroaccel.io/connector/session"
	"heteroaccel.io/pkg/kube"
)

// Gateway is what servers are reached by, where that is the way.
type Gateway struct {
	Client     *gatewayapi.Client
	Attachment session.Attachment
}

// watchGateway makes the feeds of servers' routes and of the one Gateway.
func (k *Controller) watchGateway(f *feeds) {
	a, client := k.Gateway.Attachment, k.Gateway.Client.REST()
	k.table.SetGateway(&session.Gateway{Attachment: a})
	f.routes = kube.Labelled(client, "httproutes", k.Namespace, session.Label+"="+session.LabelServer, &gatewayv1.HTTPRoute{})
	f.routes.Register(k.setRoute, func(n types.NamespacedName) { k.removeRoute(n.Name) })
	f.gateway = kube.Named(client, "gateways", a.Gateway, &gatewayv1.Gateway{})
	f.gateway.Register(
		func(g *gatewayv1.Gateway) { k.setGateway(session.OfGateway(a, g)) },
		func(types.NamespacedName) { k.setGateway(&session.Gateway{Attachment: a}) })
}

func (k *Controller) setGateway(g *session.Gateway) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, v := range k.table.SetGateway(g) {
		k.relocated(v)
	}
}

// setRoute takes a route from the API server, unless what is known is newer.
func (k *Controller) setRoute(in *gatewayv1.HTTPRoute) {
	r, ok := session.OfRoute(in)
	if !ok {
		k.Log.Warn().Str("httproute", in.Name).Msg("an HTTPRoute is not a server's, and is left alone")
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if old := k.table.Route(r.Server); old != nil && k.stale(r.Version, old.Version) {
		return
	}
	before := k.table.Server(r.Server)
	k.table.PutRoute(r)
	now := k.table.Server(r.Server)
	k.relocated(now)
	k.tellRefusal(before, now)
}

// tellRefusal has an Event of the profile tell that a server's route is refused,
// once it is ready otherwise. The caller holds the lock.
func (k *Controller) tellRefusal(before, now *session.Server) {
	if now != nil && now.Refused && (before == nil || !before.Refused) && k.leads() {
		k.event(now.Pool, "Route", "cannot reach an inference server: "+now.Pending, k.profileUID(now.Pool))
	}
}

// removeRoute takes a route's leaving.
func (k *Controller) removeRoute(name string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if server, ok := session.ServerOf(name); ok {
		k.table.RemoveRoute(server)
		k.relocated(k.table.Server(server))
	}
}

// attach creates the route of a server. The caller holds the lock.
func (k *Controller) attach(ctx context.Context, v *session.Server) {
	route := k.table.RouteOf(v, k.Namespace)
	if planned, ok := session.OfRoute(route); ok {
		k.table.PutRoute(planned) // so that it is not planned twice
	}
	k.provide(ctx, v, object{
		kind: "HTTPRoute",
		write: func(ctx context.Context) error {
			routes := k.Gateway.Client.Routes(k.Namespace)
			created, err := routes.Create(ctx, route, metav1.CreateOptions{})
			if apierrors.IsAlreadyExists(err) {
				created, err = routes.Get(ctx, route.Name, metav1.GetOptions{})
			}
			if err == nil {
				k.setRoute(created)
			}
			return err
		},
		undo: func() {
			if now := k.table.Route(v.Name); now != nil && now.Version == "" {
				k.table.RemoveRoute(v.Name)
			}
		},
	})
}

// detach deletes a route that somebody has changed, or that is for another
// Gateway. The caller holds the lock.
func (k *Controller) detach(ctx context.Context, r *session.Route) {
	gone := *r
	gone.Gone = true
	k.table.PutRoute(&gone)
	k.discard(ctx, r.Server, object{
		kind: "HTTPRoute",
		write: func(ctx context.Context) error {
			return k.Gateway.Client.Routes(k.Namespace).Delete(ctx, session.ServiceName(r.Server), asSeen(r.UID, r.Version))
		},
		undo: func() {
			if now := k.table.Route(r.Server); now != nil && now.Version == r.Version {
				k.table.PutRoute(r)
			}
		},
	})
}
