package nodes

import (
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"heteroaccel.io/e2e/cluster"
)

// The site's networks. Nothing of them is routed beyond this computer.
var (
	nodeNetwork    = netip.MustParsePrefix("10.213.0.0/24")
	podNetwork     = netip.MustParsePrefix("10.214.0.0/16")
	serviceNetwork = netip.MustParsePrefix("10.215.0.0/16")

	hostAddress = netip.MustParseAddr("10.213.0.1")
	hubAddress  = netip.MustParseAddr("10.213.0.2") // of the control plane
)

// DNSAddress is the address of the Service that answers for the cluster's
// names.
const DNSAddress = "10.215.0.10"

// serviceAddress is that of the Service that leads to the API server.
const serviceAddress = "10.215.0.1:443"

// hostDevice is the host's end of the site's network.
const hostDevice = "heteroaccel0"

// nodeAddress is that of the node with an index from 0, podsOf the network of
// its pods.
func nodeAddress(index int) netip.Addr {
	a := nodeNetwork.Addr().As4()
	a[3] = byte(11 + index)
	return netip.AddrFrom4(a)
}

func podsOf(index int) netip.Prefix {
	a := podNetwork.Addr().As4()
	a[2] = byte(11 + index)
	return netip.PrefixFrom(netip.AddrFrom4(a), 24)
}

// hub is the network namespace in which the control plane listens, with the
// bridge that joins the nodes and the host.
type hub struct {
	ns     netns.NsHandle
	handle *netlink.Handle
	host   *netlink.Handle
	bridge netlink.Link
	ends   []end // of the nodes
}

// end is a node's side of its cable.
type end struct {
	handle *netlink.Handle
	index  int
}

// newHub sets up the namespace of a process, and the host's end.
func newHub(pid int) (_ *hub, err error) {
	h := &hub{}
	defer func() {
		if err != nil {
			h.release()
		}
	}()
	if h.ns, h.handle, err = enter(pid); err != nil {
		return nil, err
	}
	bridge := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "nodes"}}
	if err := h.handle.LinkAdd(bridge); err != nil {
		return nil, fmt.Errorf("make the nodes' bridge: %w", err)
	}
	h.bridge = bridge
	if err := configure(h.handle, "nodes", netip.PrefixFrom(hubAddress, nodeNetwork.Bits())); err != nil {
		return nil, err
	}
	// kube-proxy's rules turn a Service's address into a pod's; before they
	// are looked at, there must be a route.
	if err := h.handle.RouteAdd(&netlink.Route{LinkIndex: bridge.Index, Dst: ipNet(serviceNetwork), Scope: netlink.SCOPE_LINK}); err != nil {
		return nil, fmt.Errorf("route the Services: %w", err)
	}
	if h.host, err = netlink.NewHandle(); err != nil {
		return nil, fmt.Errorf("open the host's network: %w", err)
	}
	if err := h.plug("host", h.host, hostDevice, hostAddress); err != nil {
		return nil, err
	}
	return h, route(h.host, serviceNetwork, hubAddress)
}

// freeOfOthers returns an error when an address or a name that is needed is in
// use already.
func freeOfOthers() error {
	if _, err := netlink.LinkByName(hostDevice); err == nil {
		return fmt.Errorf("the network device %s exists: another cluster of real nodes runs on this computer", hostDevice)
	}
	routes, err := netlink.RouteList(nil, unix.AF_INET)
	if err != nil {
		return fmt.Errorf("list the host's routes: %w", err)
	}
	for _, r := range routes {
		if r.Dst == nil {
			continue
		}
		ones, _ := r.Dst.Mask.Size()
		ip, ok := netip.AddrFromSlice(r.Dst.IP.To4())
		if !ok || ones == 0 {
			continue
		}
		for _, n := range []netip.Prefix{nodeNetwork, podNetwork, serviceNetwork} {
			// A wider route, such as a VPN's, gives way to ours.
			if n.Contains(ip) && ones >= n.Bits() {
				return fmt.Errorf("this host has a route to %s, which the cluster needs for itself (%s): stop what uses it", r.Dst, n)
			}
		}
	}
	return nil
}

// join plugs the node of a process in, and tells everybody where its pods are.
// Each has a route of its own to each other's pods: through the hub packets
// would go one way only, which its kube-proxy takes for invalid.
func (h *hub) join(pid, index int) error {
	ns, handle, err := enter(pid)
	if err != nil {
		return err
	}
	ns.Close()
	h.ends = append(h.ends, end{handle, index})
	address := nodeAddress(index)
	if err := h.plug(fmt.Sprintf("node%d", index), handle, "eth0", address); err != nil {
		return err
	}
	if err := route(handle, netip.MustParsePrefix("0.0.0.0/0"), hubAddress); err != nil {
		return err
	}
	for _, at := range []*netlink.Handle{h.host, h.handle} {
		if err := route(at, podsOf(index), address); err != nil {
			return err
		}
	}
	for _, other := range h.ends[:len(h.ends)-1] {
		if err := errors.Join(route(handle, podsOf(other.index), nodeAddress(other.index)), route(other.handle, podsOf(index), address)); err != nil {
			return err
		}
	}
	return nil
}

// plug lays a cable between the bridge and the network that handle is of.
func (h *hub) plug(port string, handle *netlink.Handle, device string, address netip.Addr) error {
	veth := &netlink.Veth{
		LinkAttrs: netlink.LinkAttrs{Name: device}, PeerName: port, PeerNamespace: netlink.NsFd(int(h.ns)),
	}
	if err := handle.LinkAdd(veth); err != nil {
		return fmt.Errorf("connect %s: %w", port, err)
	}
	end, err := h.handle.LinkByName(port)
	if err != nil {
		return fmt.Errorf("connect %s: %w", port, err)
	}
	if err := errors.Join(h.handle.LinkSetMaster(end, h.bridge), h.handle.LinkSetUp(end)); err != nil {
		return fmt.Errorf("connect %s: %w", port, err)
	}
	return configure(handle, device, netip.PrefixFrom(address, nodeNetwork.Bits()))
}

// release closes the namespaces, which end with their processes.
func (h *hub) release() {
	for _, e := range h.ends {
		e.handle.Close()
	}
	for _, handle := range []*netlink.Handle{h.handle, h.host} {
		if handle != nil {
			handle.Close()
		}
	}
	if h.ns.IsOpen() {
		h.ns.Close()
	}
}

// enter opens the network namespace of a process, and brings up its loopback.
func enter(pid int) (netns.NsHandle, *netlink.Handle, error) {
	ns, err := netns.GetFromPid(pid)
	if err != nil {
		return netns.None(), nil, fmt.Errorf("open the network of process %d: %w", pid, err)
	}
	handle, err := netlink.NewHandleAt(ns)
	if err != nil {
		ns.Close()
		return netns.None(), nil, fmt.Errorf("open the network of process %d: %w", pid, err)
	}
	lo, err := handle.LinkByName("lo")
	if err == nil {
		err = handle.LinkSetUp(lo)
	}
	if err != nil {
		handle.Close()
		ns.Close()
		return netns.None(), nil, fmt.Errorf("bring up the loopback device: %w", err)
	}
	return ns, handle, nil
}

// configure gives a device its address and brings it up.
func configure(handle *netlink.Handle, device string, address netip.Prefix) error {
	link, err := handle.LinkByName(device)
	if err != nil {
		return fmt.Errorf("find %s: %w", device, err)
	}
	if err := handle.AddrAdd(link, &netlink.Addr{IPNet: &net.IPNet{IP: address.Addr().AsSlice(), Mask: net.CIDRMask(address.Bits(), 32)}}); err != nil {
		return fmt.Errorf("give %s the address %s: %w", device, address, err)
	}
	if err := handle.LinkSetUp(link); err != nil {
		return fmt.Errorf("bring up %s: %w", device, err)
	}
	return nil
}

func route(handle *netlink.Handle, to netip.Prefix, via netip.Addr) error {
	if err := handle.RouteAdd(&netlink.Route{Dst: ipNet(to), Gw: via.AsSlice()}); err != nil {
		return fmt.Errorf("route %s through %s: %w", to, via, err)
	}
	return nil
}

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Masked().Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), 32)}
}

// place is where the control plane listens.
func place(pid int) cluster.Place {
	return cluster.Place{
		Address: hubAddress.String(), Network: fmt.Sprintf("/proc/%d/ns/net", pid), Services: serviceNetwork.String(),
	}
}
