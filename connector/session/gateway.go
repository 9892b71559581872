package session

import (
	"cmp"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// Attachment is what servers' routes are attached to, as an operator says it.
type Attachment struct {
	Gateway types.NamespacedName
	// Listener is the name of one of its listeners, "" for the first that speaks
	// HTTP or HTTPS.
	Listener string
	// Hostname is the name that clients use, "" for what the listener or else the
	// Gateway's address says.
	Hostname string
}

// ParseAttachment reads NAMESPACE/NAME or NAMESPACE/NAME/LISTENER.
func ParseAttachment(text string) (*Attachment, error) {
	parts := strings.Split(text, "/")
	if len(parts) < 2 || len(parts) > 3 || slices.Contains(parts, "") {
		return nil, fmt.Errorf("%q names no Gateway: give NAMESPACE/NAME or NAMESPACE/NAME/LISTENER", text)
	}
	a := &Attachment{Gateway: types.NamespacedName{Namespace: parts[0], Name: parts[1]}}
	if len(parts) == 3 {
		a.Listener = parts[2]
	}
	return a, nil
}

// ParseHostname reads the name of a host, and no address or pattern.
func ParseHostname(text string) (string, error) {
	if len(validation.IsDNS1123Subdomain(text)) > 0 || net.ParseIP(text) != nil {
		return "", fmt.Errorf("%q is no name of a host: give one like cameras.example.com", text)
	}
	return text, nil
}

// Gateway is the Gateway that routes are attached to, as the API server shows it.
// It is immutable.
type Gateway struct {
	Attachment
	// Known is that it is there.
	Known     bool
	Listeners []Listener
	// Addresses are its IP addresses and host names, as its controller says.
	Addresses []string
	// Trouble is what its controller says against it, "" for nothing.
	Trouble string
}

// Listener is one port of a Gateway that speaks HTTP.
type Listener struct {
	Name string
	// Protocol is http or https.
	Protocol string
	// Hostname is the name that clients use, "" for any.
	Hostname string
	Port     int32
}

// OfGateway reads a Gateway.
func OfGateway(a Attachment, in *gatewayv1.Gateway) *Gateway {
	g := &Gateway{Attachment: a, Known: true}
	for _, l := range in.Spec.Listeners {
		if l.Protocol != gatewayv1.HTTPProtocolType && l.Protocol != gatewayv1.HTTPSProtocolType {
			continue
		}
		g.Listeners = append(g.Listeners, Listener{
			Name: string(l.Name), Protocol: strings.ToLower(string(l.Protocol)), Hostname: valueOf(l.Hostname), Port: int32(l.Port),
		})
	}
	for _, address := range in.Status.Addresses {
		switch t := cmp.Or(valueOf(address.Type), string(gatewayv1.IPAddressType)); gatewayv1.AddressType(t) {
		case gatewayv1.IPAddressType, gatewayv1.HostnameAddressType:
			g.Addresses = append(g.Addresses, address.Value)
		}
	}
	for _, kind := range []gatewayv1.GatewayConditionType{gatewayv1.GatewayConditionAccepted, gatewayv1.GatewayConditionProgrammed} {
		if c := conditionOf(in.Status.Conditions, string(kind)); c != nil && c.Status != metav1.ConditionTrue && g.Trouble == "" {
			g.Trouble = said(c)
		}
	}
	return g
}

// listener is the one that routes are attached to, nil when there is none.
func (g *Gateway) listener() *Listener {
	if g == nil {
		return nil
	}
	for i := range g.Listeners {
		if g.Listener == "" || g.Listeners[i].Name == g.Listener {
			return &g.Listeners[i]
		}
	}
	return nil
}

// missing is why no route can be attached, "" if one can.
func (g *Gateway) missing() string {
	switch {
	case g == nil:
		return "it is reached by a Gateway and the connector has none: start that with --gateway NAMESPACE/NAME"
	case !g.Known:
		return fmt.Sprintf("Gateway %s is not there", g.Gateway)
	case g.listener() == nil && g.Listener != "":
		return fmt.Sprintf("Gateway %s has no listener %s for HTTP or HTTPS", g.Gateway, g.Listener)
	case g.listener() == nil:
		return fmt.Sprintf("Gateway %s has no listener for HTTP or HTTPS", g.Gateway)
	}
	return ""
}

// host is what clients are given of a listener, HOST:PORT, or why it is not
// known.
func (g *Gateway) host(l *Listener) (hostPort, pending string) {
	if len(g.Addresses) == 0 {
		pending = fmt.Sprintf("Gateway %s has no address yet", g.Gateway)
		if g.Trouble != "" {
			pending += ": " + g.Trouble
		}
		return "", pending
	}
	host := cmp.Or(g.Hostname, l.Hostname, g.Addresses[0])
	if strings.HasPrefix(host, "*") {
		return "", fmt.Sprintf("listener %s of Gateway %s is for %s, which is no host's name: start the connector with --gateway-hostname", l.Name, g.Gateway, host)
	}
	return net.JoinHostPort(host, strconv.Itoa(int(l.Port))), ""
}

func conditionOf(all []metav1.Condition, kind string) *metav1.Condition {
	i := slices.IndexFunc(all, func(c metav1.Condition) bool { return c.Type == kind })
	if i < 0 {
		return nil
	}
	return &all[i]
}

// said is what a condition says, in its controller's words.
func said(c *metav1.Condition) string {
	if c.Message == "" {
		return c.Reason
	}
	return c.Reason + ": " + c.Message
}

func valueOf[T ~string](p *T) string {
	if p == nil {
		return ""
	}
	return string(*p)
}
