package session

import (
	"reflect"
	"slices"
	"strings"

	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// attach plans the routes of a pool's servers: one for each that has its Service,
// which the Gateway's controller would miss, and none that somebody has changed.
func (t *Table) attach(plan *Plan, m *members) {
	l := t.gateway.listener()
	if l == nil {
		return
	}
	for _, v := range m.servers {
		if v.UID == "" || v.Reach != ReachGateway || v.Phase == Waiting || v.Phase == Gone {
			continue
		}
		switch r := t.routes[v.Name]; {
		case r == nil && !t.services[v.Name].serves(v): // first the Service
		case r == nil:
			plan.Attach = append(plan.Attach, v)
		case r.Gone || r.fits(v, t.gateway.Attachment, l.Name): // one that is being deleted still has the name
		case r.Version != "":
			plan.Detach = append(plan.Detach, r)
		}
	}
	slices.SortFunc(plan.Attach, func(a, b *Server) int { return strings.Compare(a.Name, b.Name) })
	slices.SortFunc(plan.Detach, func(a, b *Route) int { return strings.Compare(a.Server, b.Server) })
}

// RouteOf returns the route that a server needs now, nil when there is no
// listener to attach it to.
func (t *Table) RouteOf(v *Server, namespace string) *gatewayv1.HTTPRoute {
	l := t.gateway.listener()
	if l == nil {
		return nil
	}
	return RouteFor(v, t.gateway.Attachment, l.Name, namespace)
}

// Route returns the route of a server, or nil.
func (t *Table) Route(server string) *Route { return t.routes[server] }

// PutRoute takes a new or changed route.
func (t *Table) PutRoute(r *Route) {
	t.routes[r.Server] = r
	t.relocate(r.Server)
}

// RemoveRoute forgets the route of a server.
func (t *Table) RemoveRoute(server string) {
	delete(t.routes, server)
	t.relocate(server)
}

// SetGateway takes the Gateway that servers are reached by, nil for none, and
// returns the servers that are reached by it.
func (t *Table) SetGateway(g *Gateway) (concerned []*Server) {
	if reflect.DeepEqual(t.gateway, g) {
		return nil // such as when its status counts another route
	}
	t.gateway = g
	for name, v := range t.servers {
		if v.Reach == ReachGateway {
			t.relocate(name)
			concerned = append(concerned, t.servers[name])
		}
	}
	return concerned
}
