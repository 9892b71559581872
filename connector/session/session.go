package session

import (
	"cmp"
	"time"
)

// Session is one client's claim to an inference server. It is immutable: a
// change is another Session.
type Session struct {
	ID string
	// Client is who asked: nobody else sees the session.
	Client string
	Pool   Pool
	// Labels are the client's own.
	Labels map[string]string
	// Priority orders the queue, higher first.
	Priority int32
	// TTL is how long the session lives without being renewed.
	TTL              time.Duration
	Created, Renewed time.Time
	// Server is the name of the pod that serves it, "" while it waits.
	Server string
	// Moves is how often it was given another server because the one it had
	// went away.
	Moves int
	// UID and Version are the API server's uid and resourceVersion of the
	// session's Lease, "" when it is not there yet.
	UID, Version string
}

// Expires is when the session ends unless it is renewed.
func (s *Session) Expires() time.Time { return s.Renewed.Add(s.TTL) }

// before is the order of the queue: by priority, then by arrival.
func before(a, b *Session) int {
	return cmp.Or(cmp.Compare(b.Priority, a.Priority), a.Created.Compare(b.Created), cmp.Compare(a.ID, b.ID))
}

// Pool is what servers and sessions must have in common to be put together.
type Pool struct {
	Inference string
	// Accelerator is "any", or the kinds allowed in order of preference.
	Accelerator string
	// Node is the node that the client is attached to, where it asked for a
	// server nearby, and else "".
	Node string
}

// Server is a pod that serves an inference. It is immutable.
type Server struct {
	Name string
	Pool Pool
	// Phase is how far it has come.
	Phase Phase
	// Created is when the pod was, and Idle since when a ready server has had
	// no session; zero while it has one.
	Created, Idle time.Time
	// Unready is since when the pod has not been ready, zero while it is.
	Unready time.Time
	// Node and Kind are where it runs and on what, "" while that is not known,
	// and Reason is why the webhook chose the kind.
	Node, Kind, Reason string
	// Verdict is why the scheduler found no node for it, "" if it did not say.
	Verdict string
	// Address is where clients reach it, once it is ready: HOST:PORT, or
	// HOST:PORT/PATH behind a Gateway. Protocol is http or https, and Pending what
	// the address of a pod that is ready waits for. Reach is by which way.
	Address, Protocol, Pending string
	Reach                      Reach
	// Refused is that the address waits because its route is refused.
	Refused bool
	// PodIP and HostIP are the addresses of the pod and of its node, Port is the
	// port in the pod and HostPort the one on the node; "" and 0 are not known.
	PodIP, HostIP  string
	Port, HostPort int32
	// Device is the id of its accelerator on the node, once telemetry shows it.
	Device string
	// UID and Version are the uid and the resourceVersion of the pod, "" when it
	// is not there yet.
	UID, Version string
}

// Phase is how far a server has come.
type Phase uint8

// The phases of a server, in order.
const (
	Waiting     Phase = iota // not bound to a node: it holds no device
	Starting                 // bound, and not ready
	Unreachable              // the pod is ready, and its address is not known
	Ready
	Gone // being deleted, ended or failed
)

func (p Phase) String() string {
	return [...]string{"waiting", "starting", "unreachable", "ready", "gone"}[p]
}
