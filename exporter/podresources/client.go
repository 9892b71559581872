// Package podresources asks the kubelet which devices it can hand out and
// which containers hold them.
//
// The path of the kubelet's PodResources socket (v1) enters; an Answer leaves,
// or an error: a kubelet that cannot be asked is never an answer without
// devices. It decides nothing and remembers nothing but its connection.
package podresources

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	api "k8s.io/kubelet/pkg/apis/podresources/v1"
)

// DefaultSocket is where the kubelet listens unless its root directory was
// moved.
const DefaultSocket = "/var/lib/kubelet/pod-resources/kubelet.sock"

// maxAnswer bounds what the kubelet's answer may take, in bytes: the size that
// its own clients use.
const maxAnswer = 16 << 20

// maxBackoff is the longest time between two attempts to connect to a kubelet
// that is away; less than a scrape may take.
const maxBackoff = 200 * time.Millisecond

var (
	// ErrNoSocket says that nothing is at the socket's path.
	ErrNoSocket = errors.New("the kubelet's socket is missing")
	// ErrSlow says that the kubelet did not answer in time.
	ErrSlow = errors.New("the kubelet did not answer in time")
)

// Slot is one thing the kubelet hands out: a device, or a share of one.
type Slot struct {
	// Resource is the extended resource, DeviceID the plugin's name for it.
	Resource, DeviceID string
}

// Holder is the container that holds a slot.
type Holder struct {
	Namespace, Pod, Container string
}

// Answer is what the kubelet said at one time.
type Answer struct {
	// Allocatable are the slots that healthy devices offer, held or not.
	Allocatable map[Slot]bool
	// Held are the slots that containers hold, allocatable or not.
	Held map[Slot]Holder
	// Claims are the devices that containers hold through DRA drivers. Which
	// others these could hand out the kubelet does not know.
	Claims []Claim
}

// Claim is a device that a container holds through a ResourceClaim.
type Claim struct {
	Holder
	// Name is the claim's, in the holder's namespace.
	Name string
	// Driver, Pool and Device name the device for good.
	Driver, Pool, Device string
	// CDI are the devices that the container runtime made of it, each
	// vendor/class=name.
	CDI []string
}

// Client is a connection to one kubelet. It is safe for concurrent use.
type Client struct {
	path string
	conn *grpc.ClientConn
	api  api.PodResourcesListerClient
}

// New returns a client for the socket at path. It does not connect: that
// happens when the kubelet is first asked, and again after it restarts.
func New(path string) (*Client, error) {
	dial := func(ctx context.Context, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", path)
	}
	conn, err := grpc.NewClient("passthrough:///kubelet",
		grpc.WithContextDialer(dial),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxAnswer), grpc.WaitForReady(true)),
		grpc.WithConnectParams(grpc.ConnectParams{
			// Short, so that a kubelet that is back is asked by the next
			// scrape. ResetConnectBackoff would do it at once, and iterate
			// over connections that gRPC changes at the same time.
			Backoff:           backoff.Config{BaseDelay: 50 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: maxBackoff},
			MinConnectTimeout: time.Second,
		}),
	)
	if err != nil {
		return nil, fmt.Errorf("make a client for %s: %w", path, err)
	}
	return &Client{path: path, conn: conn, api: api.NewPodResourcesListerClient(conn)}, nil
}

// Close ends the connection.
func (c *Client) Close() error { return c.conn.Close() }

// Ask returns what the kubelet says now. The context must have a deadline; the
// error is ErrNoSocket, ErrSlow or the kubelet's own.
func (c *Client) Ask(ctx context.Context) (Answer, error) {
	// gRPC would keep trying until the deadline; a missing socket is known
	// at once.
	if _, err := os.Stat(c.path); errors.Is(err, fs.ErrNotExist) {
		return Answer{}, fmt.Errorf("ask the kubelet at %s: %w", c.path, ErrNoSocket)
	}
	answer, err := c.ask(ctx)
	if unavailable(err) && ctx.Err() == nil {
		// The connection was to a kubelet that has restarted since; gRPC
		// learns of it by using it.
		answer, err = c.ask(ctx)
	}
	return answer, err
}

// ask is one attempt.
func (c *Client) ask(ctx context.Context) (Answer, error) {
	allocatable, err := c.api.GetAllocatableResources(ctx, &api.AllocatableResourcesRequest{})
	if err != nil {
		return Answer{}, c.explain("what it can hand out", err)
	}
	pods, err := c.api.List(ctx, &api.ListPodResourcesRequest{})
	if err != nil {
		return Answer{}, c.explain("who holds what", err)
	}
	return Answer{Allocatable: allocatableSlots(allocatable), Held: heldSlots(pods), Claims: claims(pods)}, nil
}

// unavailable tells whether an error is that of a broken connection.
func unavailable(err error) bool { return err != nil && status.Code(err) == codes.Unavailable }

// explain says what failed, in a form that errors.Is can tell apart.
func (c *Client) explain(what string, err error) error {
	if status.Code(err) == codes.DeadlineExceeded {
		err = fmt.Errorf("%w: %w", ErrSlow, err)
	}
	return fmt.Errorf("ask the kubelet at %s %s: %w", c.path, what, err)
}

// allocatableSlots flattens the kubelet's answer, in which a device that
// touches several NUMA nodes stands once for each.
func allocatableSlots(r *api.AllocatableResourcesResponse) map[Slot]bool {
	out := map[Slot]bool{}
	for _, d := range r.GetDevices() {
		for _, id := range d.GetDeviceIds() {
			out[Slot{d.GetResourceName(), id}] = true
		}
	}
	return out
}

// heldSlots says who holds each slot. An init container leaves its devices to
// the containers after it, so that a slot can stand under several; the last
// named has it.
func heldSlots(r *api.ListPodResourcesResponse) map[Slot]Holder {
	out := map[Slot]Holder{}
	for _, p := range r.GetPodResources() {
		for _, c := range p.GetContainers() {
			for _, d := range c.GetDevices() {
				for _, id := range d.GetDeviceIds() {
					out[Slot{d.GetResourceName(), id}] = Holder{p.GetNamespace(), p.GetName(), c.GetName()}
				}
			}
		}
	}
	return out
}

// claims lists what DRA drivers have given to containers. Only what the kubelet
// names as a device is one.
func claims(r *api.ListPodResourcesResponse) []Claim {
	var out []Claim
	for _, p := range r.GetPodResources() {
		for _, c := range p.GetContainers() {
			for _, claim := range c.GetDynamicResources() {
				for _, d := range claim.GetClaimResources() {
					if d.GetDeviceName() == "" {
						continue
					}
					one := Claim{
						Holder: Holder{p.GetNamespace(), p.GetName(), c.GetName()}, Name: claim.GetClaimName(),
						Driver: d.GetDriverName(), Pool: d.GetPoolName(), Device: d.GetDeviceName(),
					}
					for _, cdi := range d.GetCdiDevices() {
						one.CDI = append(one.CDI, cdi.GetName())
					}
					out = append(out, one)
				}
			}
		}
	}
	return out
}
