package session

import (
	"cmp"
	"fmt"

	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// Route is what takes clients' requests from a Gateway to one server: those to
// the server's path, which the server does not see. It is immutable.
type Route struct {
	// Server is the name of the server's pod, and Owner its uid.
	Server, Owner string
	// Spec is what it is, and Generation how often that was written.
	Spec       gatewayv1.HTTPRouteSpec
	Generation int64
	// Verdicts are what controllers of Gateways said of it.
	Verdicts []Verdict
	// Gone is that it is being deleted.
	Gone bool
	// UID and Version are the API server's uid and resourceVersion, "" when it
	// is not there yet.
	UID, Version string
}

// Verdict is what a controller said of a route and one of its parents.
type Verdict struct {
	Parent gatewayv1.ParentReference
	// Pending is what it has not said yet, and Refused why it does not serve the
	// route; both "" when it does.
	Pending, Refused string
}

// Path is where a server is behind a Gateway: paths need no DNS, where host names
// would need one for each server.
func Path(server string) string { return "/sessions/" + server }

// RouteFor is the route that a server needs to a listener. It goes with the
// server's pod, which owns it.
func RouteFor(v *Server, a Attachment, listener, namespace string) *gatewayv1.HTTPRoute {
	r := &gatewayv1.HTTPRoute{ObjectMeta: metav1.ObjectMeta{
		Namespace: namespace, Name: ServiceName(v.Name),
		Labels:          map[string]string{Label: LabelServer},
		OwnerReferences: ownedBy(v),
	}}
	r.Spec.ParentRefs = []gatewayv1.ParentReference{parentOf(a, listener)}
	if a.Hostname != "" {
		r.Spec.Hostnames = []gatewayv1.Hostname{gatewayv1.Hostname(a.Hostname)}
	}
	r.Spec.Rules = []gatewayv1.HTTPRouteRule{{
		Matches: []gatewayv1.HTTPRouteMatch{{Path: &gatewayv1.HTTPPathMatch{Type: new(gatewayv1.PathMatchPathPrefix), Value: new(Path(v.Name))}}},
		Filters: []gatewayv1.HTTPRouteFilter{{
			Type: gatewayv1.HTTPRouteFilterURLRewrite,
			URLRewrite: &gatewayv1.HTTPURLRewriteFilter{Path: &gatewayv1.HTTPPathModifier{
				Type: gatewayv1.PrefixMatchHTTPPathModifier, ReplacePrefixMatch: new("/"),
			}},
		}},
		BackendRefs: []gatewayv1.HTTPBackendRef{{BackendRef: gatewayv1.BackendRef{
			BackendObjectReference: gatewayv1.BackendObjectReference{
				Group: new(gatewayv1.Group("")), Kind: new(gatewayv1.Kind("Service")),
				Name: gatewayv1.ObjectName(ServiceName(v.Name)), Port: new(gatewayv1.PortNumber(v.Port)),
			},
			Weight: new(int32(1)),
		}}},
	}}
	return r
}

// parentOf refers to a listener. It has what the API server would fill in.
func parentOf(a Attachment, listener string) gatewayv1.ParentReference {
	return gatewayv1.ParentReference{
		Group: new(gatewayv1.Group(gatewayv1.GroupName)), Kind: new(gatewayv1.Kind("Gateway")),
		Namespace: new(gatewayv1.Namespace(a.Gateway.Namespace)), Name: gatewayv1.ObjectName(a.Gateway.Name),
		SectionName: new(gatewayv1.SectionName(listener)),
	}
}

// OfRoute reads a server's route; ok is false for any other.
func OfRoute(in *gatewayv1.HTTPRoute) (r *Route, ok bool) {
	server, ok := ServerOf(in.Name)
	if !ok {
		return nil, false
	}
	r = &Route{
		Server: server, Owner: ownerOf(in.OwnerReferences, server), Spec: *in.Spec.DeepCopy(), Generation: in.Generation,
		Gone: in.DeletionTimestamp != nil, UID: string(in.UID), Version: in.ResourceVersion,
	}
	for _, p := range in.Status.Parents {
		verdict := Verdict{Parent: *p.ParentRef.DeepCopy()}
		for _, kind := range []gatewayv1.RouteConditionType{gatewayv1.RouteConditionAccepted, gatewayv1.RouteConditionResolvedRefs} {
			c := conditionOf(p.Conditions, string(kind))
			switch {
			case c == nil || c.Status == metav1.ConditionUnknown:
				verdict.Pending = cmp.Or(verdict.Pending, string(kind))
			case c.Status != metav1.ConditionTrue:
				verdict.Refused = cmp.Or(verdict.Refused, fmt.Sprintf("%s is false, %s", kind, said(c)))
			}
		}
		r.Verdicts = append(r.Verdicts, verdict)
	}
	return r, true
}

// fits reports whether a route is what a server needs to a listener, and was
// never written again: so what the API server or a webhook filled in when it was
// created may stay, and what was said of it is said of this.
func (r *Route) fits(v *Server, a Attachment, listener string) bool {
	return r.Owner == v.UID && r.Generation == 1 && equality.Semantic.DeepDerivative(RouteFor(v, a, listener, "").Spec, r.Spec)
}

// verdict is what the controller of a Gateway said of a route to a listener, why
// it does not serve yet or "" if it does, and whether it refused. Where several
// controllers speak for the same parent, as when one replaces another, all must
// agree.
func (r *Route) verdict(a Attachment, listener string) (pending string, refused bool) {
	parent, heard := parentOf(a, listener), false
	for _, v := range r.Verdicts {
		if !sameParent(v.Parent, parent) {
			continue
		}
		heard = true
		switch {
		case v.Refused != "":
			return fmt.Sprintf("the controller of Gateway %s refuses its HTTPRoute: %s", a.Gateway, v.Refused), true
		case v.Pending != "":
			return fmt.Sprintf("the controller of Gateway %s has yet to say of its HTTPRoute whether it is %s", a.Gateway, v.Pending), false
		}
	}
	if !heard {
		return fmt.Sprintf("the controller of Gateway %s has said nothing of its HTTPRoute yet", a.Gateway), false
	}
	return "", false
}

// sameParent compares references as the specification has it: what is left out
// stands for the default.
func sameParent(a, b gatewayv1.ParentReference) bool {
	return a.Name == b.Name && valueOf(a.Namespace) == valueOf(b.Namespace) && valueOf(a.SectionName) == valueOf(b.SectionName) &&
		cmp.Or(valueOf(a.Group), gatewayv1.GroupName) == valueOf(b.Group) && cmp.Or(valueOf(a.Kind), "Gateway") == valueOf(b.Kind) && a.Port == nil
}

// behind gives a server its address behind a Gateway, with its path, or what that
// waits for.
func (v *Server) behind(s *Service, r *Route, g *Gateway) {
	if v.Pending = g.missing(); v.Pending != "" {
		return
	}
	l := g.listener()
	switch {
	case !s.serves(v):
		v.Pending = "its Service is not there yet"
	case r == nil || r.Gone || r.Version == "" || !r.fits(v, g.Attachment, l.Name):
		v.Pending = "its HTTPRoute is not there yet"
	default:
		if v.Pending, v.Refused = r.verdict(g.Attachment, l.Name); v.Pending != "" {
			return
		}
		var host string
		if host, v.Pending = g.host(l); host != "" {
			v.Address, v.Protocol = host+Path(v.Name), l.Protocol
		}
	}
}
