package leader

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	coordinationclient "k8s.io/client-go/kubernetes/typed/coordination/v1"
)

// AddressAnnotation of the Lease says where the other replicas reach the one that
// holds it: host:port, a space, and that replica's identity. The identity is there
// because a version that knows no addresses keeps the annotation of others when it
// takes the Lease.
const AddressAnnotation = "heteroaccel.io/leader-address"

// holder is who holds the Lease.
type holder struct{ identity, address string }

func holderOf(l *coordinationv1.Lease) holder {
	if l == nil || l.Spec.HolderIdentity == nil {
		return holder{}
	}
	h := holder{identity: *l.Spec.HolderIdentity}
	if address, of, ok := strings.Cut(l.Annotations[AddressAnnotation], " "); ok && of == h.identity && of != "" {
		h.address = address
	}
	return h
}

// sight is what this replica has seen of the Lease. Its methods may be called from any
// goroutine.
type sight struct {
	mu      sync.Mutex
	holder  holder
	version string
	written instant // when the Lease was first seen as it is now
	known   bool    // it has been seen
	changed chan struct{}
}

// see takes a Lease as the API server has it, nil when there is none.
func (s *sight) see(l *coordinationv1.Lease, now instant) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if l != nil && l.ResourceVersion != s.version {
		s.version, s.written, s.known = l.ResourceVersion, now, true
	}
	if h := holderOf(l); h != s.holder {
		s.holder = h
		close(s.changed)
		s.changed = make(chan struct{})
	}
}

// Other is where the replica is reached that holds the Lease, host:port; "" while
// nobody does, this one does, or the address is unknown. changed is closed once
// another replica, or nobody, holds it.
func (l *Leader) Other() (address string, changed <-chan struct{}) {
	l.sight.mu.Lock()
	defer l.sight.mu.Unlock()
	if l.sight.holder.identity != l.Identity {
		address = l.sight.holder.address
	}
	return address, l.sight.changed
}

// Led says why no replica is known to lead or to be about to, nil while the Lease was
// seen to be written within twice its duration: one that was killed is replaced within
// that time.
func (l *Leader) Led() error {
	if !l.Elect {
		return l.Leads()
	}
	l.sight.mu.Lock()
	defer l.sight.mu.Unlock()
	if !l.sight.known {
		return errors.New("the lease of the replica that decides has not been read yet")
	}
	if age := l.clock().since(l.sight.written); age > 2*l.LeaseDuration {
		return fmt.Errorf("no replica decides: the lease was written %s ago", age.Round(time.Second))
	}
	return nil
}

// Follow goes on looking at the Lease until ctx ends, for a replica whose Run has
// returned and that still has to know who leads.
func (l *Leader) Follow(ctx context.Context) {
	if !l.Elect {
		return
	}
	leases := l.leases().Leases(l.Namespace)
	tick := time.NewTicker(l.look())
	defer tick.Stop()
	for {
		call, cancel := context.WithTimeout(ctx, l.RenewDeadline)
		_, _ = leases.Get(call, l.Lease, metav1.GetOptions{}) // it is seen, or asked for again
		cancel()
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// leases is the API server's Leases as this replica reads and writes them: whatever is
// read is seen, and what it holds has its address.
func (l *Leader) leases() coordinationclient.LeasesGetter { return seen{l.Client.CoordinationV1(), l} }

type seen struct {
	coordinationclient.LeasesGetter
	l *Leader
}

func (s seen) Leases(namespace string) coordinationclient.LeaseInterface {
	return seenLeases{s.LeasesGetter.Leases(namespace), s.l}
}

type seenLeases struct {
	coordinationclient.LeaseInterface
	l *Leader
}

// Get reads a Lease.
func (s seenLeases) Get(ctx context.Context, name string, o metav1.GetOptions) (*coordinationv1.Lease, error) {
	lease, err := s.LeaseInterface.Get(ctx, name, o)
	if apierrors.IsNotFound(err) {
		s.l.sight.see(nil, s.l.clock())
	}
	return s.see(lease, err)
}

// Create writes the first Lease.
func (s seenLeases) Create(ctx context.Context, lease *coordinationv1.Lease, o metav1.CreateOptions) (*coordinationv1.Lease, error) {
	s.address(lease)
	return s.see(s.LeaseInterface.Create(ctx, lease, o))
}

// Update writes a Lease.
func (s seenLeases) Update(ctx context.Context, lease *coordinationv1.Lease, o metav1.UpdateOptions) (*coordinationv1.Lease, error) {
	s.address(lease)
	return s.see(s.LeaseInterface.Update(ctx, lease, o))
}

func (s seenLeases) see(lease *coordinationv1.Lease, err error) (*coordinationv1.Lease, error) {
	if err == nil {
		s.l.sight.see(lease, s.l.clock())
	}
	return lease, err
}

// address has a Lease say where its holder is reached, if that is this replica, and
// nothing if it is nobody.
func (s seenLeases) address(lease *coordinationv1.Lease) {
	delete(lease.Annotations, AddressAnnotation)
	if h := lease.Spec.HolderIdentity; s.l.Address != "" && h != nil && *h == s.l.Identity {
		if lease.Annotations == nil {
			lease.Annotations = map[string]string{}
		}
		lease.Annotations[AddressAnnotation] = s.l.Address + " " + s.l.Identity
	}
}
