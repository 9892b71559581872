// Package podresources asks the kubelet which devices it can allocate and which
// containers hold them.
//
// The path of the kubelet's PodResources socket (v1) enters; an Answer leaves, or
// an error: a kubelet that does not answer is never an Answer without devices. It
// decides nothing and keeps nothing but its connection.
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

// DefaultSocket is where the kubelet listens with the default root directory.
const DefaultSocket = "/var/lib/kubelet/pod-resources/kubelet.sock"

// maxAnswer is the maximum size of the kubelet's answer in bytes, as in the
// kubelet's own clients.
const maxAnswer = 16 << 20

// maxBackoff is the longest time between two attempts to connect; less than the
// timeout of a scrape.
const maxBackoff = 200 * time.Millisecond

var (
	// ErrNoSocket: there is no socket at the path.
	ErrNoSocket = errors.New("the kubelet's socket is missing")
	// ErrSlow: the kubelet did not answer in time.
	ErrSlow = errors.New("the kubelet did not answer in time")
)

// Slot is what the kubelet allocates: a device, or a share of one.
type Slot struct {
	// Resource is the extended resource, DeviceID the plugin's name of the slot.
	Resource, DeviceID string
}

// Holder is the container that holds a slot.
type Holder struct {
	Namespace, Pod, Container string
}

// Answer is the kubelet's answer at one time.
type Answer struct {
	// Allocatable are the slots of healthy devices, held or not.
	Allocatable map[Slot]bool
	// Held are the slots that containers hold, allocatable or not.
	Held map[Slot]Holder
	// Claims are the devices that containers hold through DRA drivers. The
	// kubelet does not know which others the drivers have.
	Claims []Claim
}

// Claim is a device that a container holds through a ResourceClaim.
type Claim struct {
	Holder
	// Name is the claim's, in the holder's namespace.
	Name string
	// Driver, Pool and Device identify the device.
	Driver, Pool, Device string
	// CDI are its names for the container runtime, each vendor/class=name.
	CDI []string
}

// Client is a connection to one kubelet. It is safe for concurrent use.
type Client struct {
	path string
	conn *grpc.ClientConn
	api  api.PodResourcesListerClient
}

// New returns a client of the socket at path. It connects when the kubelet is
// first asked, and again after a restart of the kubelet.
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
			// Short, so that the next scrape reaches a kubelet that has
			// restarted. ResetConnectBackoff would connect at once, but iterates
			// over connections that gRPC changes concurrently.
			Backoff:           backoff.Config{BaseDelay: 50 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: maxBackoff},
			MinConnectTimeout: time.Second,
		}),
	)
	if err != nil {
		return nil, fmt.Errorf("create a client of %s: %w", path, err)
	}
	return &Client{path: path, conn: conn, api: api.NewPodResourcesListerClient(conn)}, nil
}

// Close ends the connection.
func (c *Client) Close() error { return c.conn.Close() }

// Ask returns the kubelet's present answer. The context must have a deadline; the
// error is ErrNoSocket, ErrSlow or the kubelet's own.
func (c *Client) Ask(ctx context.Context) (Answer, error) {
	// gRPC would retry until the deadline; a missing socket is known at once.
	if _, err := os.Stat(c.path); errors.Is(err, fs.ErrNotExist) {
		return Answer{}, fmt.Errorf("ask the kubelet at %s: %w", c.path, ErrNoSocket)
	}
	answer, err := c.ask(ctx)
	if unavailable(err) && ctx.Err() == nil {
		// The kubelet has restarted; gRPC notices when it uses the connection.
		answer, err = c.ask(ctx)
	}
	return answer, err
}

// ask is one attempt.
func (c *Client) ask(ctx context.Context) (Answer, error) {
	allocatable, err := c.api.GetAllocatableResources(ctx, &api.AllocatableResourcesRequest{})
	if err != nil {
		return Answer{}, c.explain("for allocatable devices", err)
	}
	pods, err := c.api.List(ctx, &api.ListPodResourcesRequest{})
	if err != nil {
		return Answer{}, c.explain("for the devices of pods", err)
	}
	return Answer{Allocatable: allocatableSlots(allocatable), Held: heldSlots(pods), Claims: claims(pods)}, nil
}

// unavailable reports whether an error is that of a broken connection.
func unavailable(err error) bool { return err != nil && status.Code(err) == codes.Unavailable }

// explain says what failed, and marks a timeout as ErrSlow.
func (c *Client) explain(what string, err error) error {
	if status.Code(err) == codes.DeadlineExceeded {
		err = fmt.Errorf("%w: %w", ErrSlow, err)
	}
	return fmt.Errorf("ask the kubelet at %s %s: %w", c.path, what, err)
}

// allocatableSlots flattens the kubelet's answer, in which a device of several
// NUMA nodes occurs once for each.
func allocatableSlots(r *api.AllocatableResourcesResponse) map[Slot]bool {
	out := map[Slot]bool{}
	for _, d := range r.GetDevices() {
		for _, id := range d.GetDeviceIds() {
			out[Slot{d.GetResourceName(), id}] = true
		}
	}
	return out
}

// heldSlots returns the holder of each slot. An init container leaves its devices
// to the containers after it, so that several can have a slot; the last one holds
// it.
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

// claims lists the devices that DRA drivers have allocated to containers.
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
