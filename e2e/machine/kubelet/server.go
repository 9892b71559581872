package kubelet

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"slices"
	"strings"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/types"
	podresources "k8s.io/kubelet/pkg/apis/podresources/v1"

	"heteroaccel.io/e2e/machine"
)

// longestSocket is how long the path of a unix socket may be; the kernel's
// limit is 107 bytes.
const longestSocket = 100

// Server answers for one machine. Between Stop and Start, in either order,
// its allocations stay: only the socket goes, as when a kubelet restarts.
type Server struct {
	podresources.UnimplementedPodResourcesListerServer

	socket  string
	machine *machine.Machine
	pods    func() []*corev1.Pod
	claim   func(namespace, name string) *resourcev1.ResourceClaim

	mu   sync.Mutex
	held map[types.UID]holding
	grpc *grpc.Server // nil while stopped
	done chan struct{}
}

// New returns a stopped server. pods returns the pods bound to the machine's
// node, ended ones included, and claim the ResourceClaim of a name, nil for none; both
// are called for every request. claim may be nil where no pod refers to any.
func New(socket string, m *machine.Machine, pods func() []*corev1.Pod, claim func(namespace, name string) *resourcev1.ResourceClaim) *Server {
	return &Server{socket: socket, machine: m, pods: pods, claim: claim, held: map[types.UID]holding{}}
}

// Socket is the path of the unix socket.
func (s *Server) Socket() string { return s.socket }

// Start listens on the socket and answers from then on. Starting a server
// that runs does nothing.
func (s *Server) Start() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.grpc != nil {
		return nil
	}
	if len(s.socket) > longestSocket {
		return fmt.Errorf("the socket path %s has %d characters, %d are possible: use a shorter directory", s.socket, len(s.socket), longestSocket)
	}
	if err := os.Remove(s.socket); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove the socket of an earlier server: %w", err)
	}
	listener, err := net.Listen("unix", s.socket)
	if err != nil {
		return fmt.Errorf("listen for PodResources of machine %s: %w", s.machine.Name, err)
	}
	server, done := grpc.NewServer(), make(chan struct{})
	podresources.RegisterPodResourcesListerServer(server, s)
	s.grpc, s.done = server, done
	go func() {
		defer close(done)
		// Serve ends only by Stop, or with the listener, which ends by Stop.
		_ = server.Serve(listener)
	}()
	return nil
}

// Stop ends all connections and removes the socket. Stopping a stopped server
// does nothing.
func (s *Server) Stop() {
	s.mu.Lock()
	server, done := s.grpc, s.done
	s.grpc = nil
	s.mu.Unlock()
	if server != nil {
		server.Stop()
		<-done
	}
}

// List says which containers of the node's pods hold which devices.
func (s *Server) List(context.Context, *podresources.ListPodResourcesRequest) (*podresources.ListPodResourcesResponse, error) {
	return &podresources.ListPodResourcesResponse{PodResources: s.list()}, nil
}

// Get is List for one pod.
func (s *Server) Get(_ context.Context, r *podresources.GetPodResourcesRequest) (*podresources.GetPodResourcesResponse, error) {
	for _, pod := range s.list() {
		if pod.Namespace == r.PodNamespace && pod.Name == r.PodName {
			return &podresources.GetPodResourcesResponse{PodResources: pod}, nil
		}
	}
	return nil, status.Errorf(codes.NotFound, "pod %s in namespace %s not found", r.PodName, r.PodNamespace)
}

// GetAllocatableResources lists the healthy devices, held or not.
func (s *Server) GetAllocatableResources(context.Context, *podresources.AllocatableResourcesRequest) (*podresources.AllocatableResourcesResponse, error) {
	response := &podresources.AllocatableResourcesResponse{}
	for _, d := range s.machine.Allocatable() {
		for _, id := range d.IDs {
			response.Devices = append(response.Devices, slot{d.Resource, id, d.NUMA}.message())
		}
	}
	return response, nil
}

// list allocates for the pods there are and describes them, by name.
func (s *Server) list() []*podresources.PodResources {
	pods := active(s.pods())
	s.mu.Lock()
	defer s.mu.Unlock()
	allocate(s.held, pods, s.machine.ResourceNames(), s.machine.Allocatable())
	list := make([]*podresources.PodResources, 0, len(pods))
	for _, pod := range pods {
		p := &podresources.PodResources{Namespace: pod.Namespace, Name: pod.Name}
		for _, c := range containers(pod) {
			r := &podresources.ContainerResources{Name: c.Name, DynamicResources: s.claimed(pod, c)}
			for _, slot := range s.held[pod.UID][c.Name] {
				r.Devices = append(r.Devices, slot.message())
			}
			p.Containers = append(p.Containers, r)
		}
		list = append(list, p)
	}
	slices.SortFunc(list, func(a, b *podresources.PodResources) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
	return list
}

// message has one id, as the kubelet sends it: an entry for each device.
func (s slot) message() *podresources.ContainerDevices {
	d := &podresources.ContainerDevices{ResourceName: s.resource, DeviceIds: []string{s.id}}
	if s.numa >= 0 {
		d.Topology = &podresources.TopologyInfo{Nodes: []*podresources.NUMANode{{ID: int64(s.numa)}}}
	}
	return d
}

// isDevice reports whether a resource can be a device plugin's: qualified with
// a domain other than Kubernetes' own.
func isDevice(name corev1.ResourceName) bool {
	domain, _, qualified := strings.Cut(string(name), "/")
	return qualified && domain != "kubernetes.io" && !strings.HasSuffix(domain, ".kubernetes.io")
}
