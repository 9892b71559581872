package session

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

var cameras = Attachment{Gateway: types.NamespacedName{Namespace: "edge", Name: "cameras"}}

// gateway is the Gateway edge/cameras as its controller left it: at 198.51.100.7,
// with HTTP on port 80.
func gateway(change ...func(*gatewayv1.Gateway)) *gatewayv1.Gateway {
	g := &gatewayv1.Gateway{}
	g.Spec.Listeners = []gatewayv1.Listener{
		{Name: "tcp", Port: 9000, Protocol: gatewayv1.TCPProtocolType},
		{Name: "web", Port: 80, Protocol: gatewayv1.HTTPProtocolType},
		{Name: "secure", Port: 8443, Protocol: gatewayv1.HTTPSProtocolType, Hostname: new(gatewayv1.Hostname("cameras.example"))},
		{Name: "any", Port: 8080, Protocol: gatewayv1.HTTPProtocolType, Hostname: new(gatewayv1.Hostname("*.example"))},
	}
	g.Status.Addresses = []gatewayv1.GatewayStatusAddress{{Type: new(gatewayv1.AddressType("vendor.example/pool")), Value: "blue"}, {Value: "198.51.100.7"}}
	for _, c := range change {
		c(g)
	}
	return g
}

func addresses(all ...gatewayv1.GatewayStatusAddress) func(*gatewayv1.Gateway) {
	return func(g *gatewayv1.Gateway) { g.Status.Addresses = all }
}

// route is the HTTPRoute of server x as the API server has it, attached to a
// listener and changed.
func route(a Attachment, listener string, change ...func(*gatewayv1.HTTPRoute)) *gatewayv1.HTTPRoute {
	r := RouteFor(server("x", Ready, by(ReachGateway)), a, listener, "sessions")
	r.UID, r.ResourceVersion, r.Generation = "u-r", "7", 1
	for _, c := range change {
		c(r)
	}
	return r
}

// verdicts have a controller say of a route and its first parent what conditions
// say, TYPE=STATUS.
func verdicts(conditions ...string) func(*gatewayv1.HTTPRoute) {
	return func(r *gatewayv1.HTTPRoute) {
		p := gatewayv1.RouteParentStatus{ParentRef: r.Spec.ParentRefs[0], ControllerName: "example.com/gateway"}
		for _, c := range conditions {
			kind, status, _ := strings.Cut(c, "=")
			p.Conditions = append(p.Conditions, metav1.Condition{Type: kind, Status: metav1.ConditionStatus(status), Reason: "Because", Message: "it is so"})
		}
		r.Status.Parents = append(r.Status.Parents, p)
	}
}

var accepted = verdicts("Accepted=True", "ResolvedRefs=True")

// TestBehindGateway: a server is served by once the controller of the Gateway says
// that it routes to it, at the address that the Gateway says; and else it says
// what it waits for.
func TestBehindGateway(t *testing.T) {
	at := func(listener, host string) Attachment {
		a := cameras
		a.Listener, a.Hostname = listener, host
		return a
	}
	is := func(g *gatewayv1.Gateway) *gatewayv1.Gateway { return g }
	changed := func(change func(*gatewayv1.HTTPRoute)) *gatewayv1.HTTPRoute {
		return route(cameras, "web", accepted, change)
	}
	served, service := done{Assign: map[string]string{"a": "x"}}, service(ReachGateway)
	const path = "/sessions/x"
	tests := map[string]struct {
		at      Attachment // cameras unless it says otherwise
		none    bool       // the connector has no Gateway
		gateway *gatewayv1.Gateway
		service *Service
		route   *gatewayv1.HTTPRoute
		address string // http:// unless it says otherwise
		pending string
		refused bool
		want    done
	}{
		"no Gateway in the flags":     {none: true, gateway: gateway(), service: service, pending: "start that with --gateway"},
		"no Gateway there":            {service: service, pending: "Gateway edge/cameras is not there"},
		"no such listener":            {at: at("x", ""), gateway: gateway(), service: service, pending: "no listener x for"},
		"listener of another kind":    {at: at("tcp", ""), gateway: gateway(), service: service, pending: "no listener tcp for HTTP"},
		"no Service":                  {gateway: gateway(), pending: "its Service is not there yet", want: done{Expose: []string{"x"}}},
		"no route":                    {gateway: gateway(), service: service, pending: "its HTTPRoute is not there yet", want: done{Attach: []string{"x"}}},
		"nothing said":                {gateway: gateway(), service: service, route: route(cameras, "web"), pending: "has said nothing"},
		"not all said":                {gateway: gateway(), service: service, route: route(cameras, "web", verdicts("Accepted=True")), pending: "whether it is ResolvedRefs"},
		"not known":                   {gateway: gateway(), service: service, route: route(cameras, "web", verdicts("Accepted=Unknown", "ResolvedRefs=True")), pending: "whether it is Accepted"},
		"not accepted":                {gateway: gateway(), service: service, route: route(cameras, "web", verdicts("Accepted=False", "ResolvedRefs=True")), pending: "refuses its HTTPRoute: Accepted is false, Because: it is so", refused: true},
		"not resolved":                {gateway: gateway(), service: service, route: route(cameras, "web", verdicts("Accepted=True", "ResolvedRefs=False")), pending: "ResolvedRefs is false, Because: it is so", refused: true},
		"refused by one of two":       {gateway: gateway(), service: service, route: route(cameras, "web", accepted, verdicts("Accepted=False")), pending: "Accepted is false", refused: true},
		"accepted by another Gateway": {gateway: gateway(), service: service, route: route(cameras, "web", accepted, func(r *gatewayv1.HTTPRoute) { r.Status.Parents[0].ParentRef.Name = "other" }), pending: "has said nothing"},
		"accepted by another listener": {gateway: gateway(), service: service, route: route(cameras, "web", accepted, func(r *gatewayv1.HTTPRoute) {
			r.Status.Parents[0].ParentRef.SectionName = new(gatewayv1.SectionName("any"))
		}), pending: "has said nothing"},
		"accepted, defaults left out": {gateway: gateway(), service: service, route: route(cameras, "web", accepted, func(r *gatewayv1.HTTPRoute) {
			r.Status.Parents[0].ParentRef.Group, r.Status.Parents[0].ParentRef.Kind = nil, nil
		}), address: "198.51.100.7:80" + path, want: served},
		"accepted":                 {gateway: gateway(), service: service, route: route(cameras, "web", accepted), address: "198.51.100.7:80" + path, want: served},
		"IPv6":                     {gateway: gateway(addresses(gatewayv1.GatewayStatusAddress{Value: "2001:db8::7"})), service: service, route: route(cameras, "web", accepted), address: "[2001:db8::7]:80" + path, want: served},
		"name":                     {gateway: gateway(addresses(gatewayv1.GatewayStatusAddress{Type: new(gatewayv1.HostnameAddressType), Value: "lb.example"})), service: service, route: route(cameras, "web", accepted), address: "lb.example:80" + path, want: served},
		"HTTPS with a host name":   {at: at("secure", ""), gateway: gateway(), service: service, route: route(at("secure", ""), "secure", accepted), address: "https://cameras.example:8443" + path, want: served},
		"any host":                 {at: at("any", ""), gateway: gateway(), service: service, route: route(at("any", ""), "any", accepted), pending: "is for *.example, which is no host's name"},
		"host name in the flags":   {at: at("any", "hall.example"), gateway: gateway(), service: service, route: route(at("any", "hall.example"), "any", accepted), address: "hall.example:8080" + path, want: served},
		"no address":               {gateway: gateway(addresses()), service: service, route: route(cameras, "web", accepted), pending: "has no address yet"},
		"no address, and why":      {gateway: is(gateway(addresses(), notProgrammed)), service: service, route: route(cameras, "web", accepted), pending: "no address yet: AddressNotAssigned: no pool"},
		"route of an older pod":    {gateway: gateway(), service: service, route: changed(func(r *gatewayv1.HTTPRoute) { r.OwnerReferences[0].UID = "older" }), pending: "not there", want: done{Detach: []string{"x"}}},
		"route written again":      {gateway: gateway(), service: service, route: changed(func(r *gatewayv1.HTTPRoute) { r.Generation = 2 }), pending: "not there", want: done{Detach: []string{"x"}}},
		"route to another Gateway": {gateway: gateway(), service: service, route: changed(func(r *gatewayv1.HTTPRoute) { r.Spec.ParentRefs[0].Name = "other" }), pending: "not there", want: done{Detach: []string{"x"}}},
		"route to an old listener": {at: at("web", ""), gateway: gateway(), service: service, route: route(cameras, "gone", accepted), pending: "not there", want: done{Detach: []string{"x"}}},
		"route to another Service": {gateway: gateway(), service: service, route: changed(func(r *gatewayv1.HTTPRoute) { r.Spec.Rules[0].BackendRefs[0].Name = "other" }), pending: "not there", want: done{Detach: []string{"x"}}},
		"route with what was filled in": {gateway: gateway(), service: service, route: changed(func(r *gatewayv1.HTTPRoute) {
			r.Spec.Rules[0].Name = new(gatewayv1.SectionName("rule"))
		}), address: "198.51.100.7:80" + path, want: served},
		"route that is being deleted": {gateway: gateway(), service: service, route: changed(func(r *gatewayv1.HTTPRoute) { r.DeletionTimestamp = &metav1.Time{Time: start} }), pending: "not there"},
		"route that is being created": {gateway: gateway(), service: service, route: changed(func(r *gatewayv1.HTTPRoute) { r.ResourceVersion, r.Generation = "", 0 }), pending: "not there"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if tt.at == (Attachment{}) {
				tt.at = cameras
			}
			table := NewTable()
			table.Put(waits("a", 0))
			// In every order of arrival.
			arrivals := []func(){
				func() { table.PutServer(server("x", Ready, by(ReachGateway))) },
				func() {
					if tt.service != nil {
						table.PutService(tt.service)
					}
				},
				func() {
					if r, ok := OfRoute(orEmpty(tt.route)); ok {
						table.PutRoute(r)
					}
				},
				func() {
					if tt.gateway != nil && !tt.none {
						table.SetGateway(OfGateway(tt.at, tt.gateway))
					}
				},
			}
			for first := range arrivals {
				table.RemoveServer("x")
				table.RemoveService("x")
				table.RemoveRoute("x")
				if table.SetGateway(&Gateway{Attachment: tt.at}); tt.none {
					table.SetGateway(nil)
				}
				for i := range arrivals {
					arrivals[(first+i)%len(arrivals)]()
				}
				got := table.Server("x")
				if !strings.Contains(tt.address, "://") && tt.address != "" {
					tt.address = "http://" + tt.address
				}
				if url := got.Protocol + "://" + got.Address; got.Address != "" && url != tt.address || got.Address == "" && tt.address != "" {
					t.Errorf("address %q, want %q", url, tt.address)
				}
				if !strings.Contains(got.Pending, tt.pending) || (got.Pending == "") != (tt.pending == "") || got.Refused != tt.refused {
					t.Errorf("pending %q, refused %v; want %q, %v", got.Pending, got.Refused, tt.pending, tt.refused)
				}
				plan := table.Plan(faces, Limits{PerServer: 1, Idle: time.Minute}, start)
				if diff := cmp.Diff(tt.want, doneOf(plan)); diff != "" {
					t.Errorf("plan (-want +got):\n%s", diff)
				}
			}
		})
	}
}

func orEmpty(r *gatewayv1.HTTPRoute) *gatewayv1.HTTPRoute {
	if r == nil {
		return &gatewayv1.HTTPRoute{}
	}
	return r
}

func notProgrammed(g *gatewayv1.Gateway) {
	g.Status.Conditions = []metav1.Condition{
		{Type: "Accepted", Status: metav1.ConditionTrue},
		{Type: "Programmed", Status: metav1.ConditionFalse, Reason: "AddressNotAssigned", Message: "no pool"},
	}
}

// TestSetGateway: servers that are reached by the Gateway follow it, and no others.
func TestSetGateway(t *testing.T) {
	table := NewTable()
	table.SetGateway(OfGateway(cameras, gateway()))
	table.PutServer(server("x", Ready, by(ReachGateway)))
	table.PutServer(server("y", Ready))
	table.PutService(service(ReachGateway))
	r, _ := OfRoute(route(cameras, "web", accepted))
	table.PutRoute(r)
	moved := table.SetGateway(OfGateway(cameras, gateway(addresses(gatewayv1.GatewayStatusAddress{Value: "198.51.100.8"}))))
	if len(moved) != 1 || moved[0].Name != "x" || moved[0].Address != "198.51.100.8:80/sessions/x" {
		t.Errorf("with another address %+v", moved)
	}
	if y := table.Server("y"); y.Address != "10.0.0.1:8080" {
		t.Errorf("y is at %s", y.Address)
	}
	// Only what waits for a device takes no route.
	table.PutServer(server("x", Waiting, by(ReachGateway)))
	table.RemoveRoute("x")
	if got := doneOf(table.Plan(faces, Limits{PerServer: 1}, start)); got.Attach != nil {
		t.Errorf("planned for one that waits: %+v", got)
	}
}

func TestParseAttachment(t *testing.T) {
	tests := map[string]*Attachment{
		"edge/cameras":     &cameras,
		"edge/cameras/web": {Gateway: cameras.Gateway, Listener: "web"},
		"cameras":          nil, "": nil, "edge/": nil, "/cameras": nil, "a/b/": nil, "a/b/c/d": nil,
	}
	for text, want := range tests {
		got, err := ParseAttachment(text)
		if diff := cmp.Diff(want, got); diff != "" || (err == nil) != (want != nil) {
			t.Errorf("%q: %v (-want +got):\n%s", text, err, diff)
		}
	}
	for text, ok := range map[string]bool{"cameras.example.com": true, "hall": true, "*.example": false, "192.0.2.1": false, "a b": false, "https://x": false} {
		if _, err := ParseHostname(text); (err == nil) != ok {
			t.Errorf("%q: %v", text, err)
		}
	}
}
