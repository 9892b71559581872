package history

import (
	"strings"
	"sync/atomic"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"heteroaccel.io/pkg/text"
)

const (
	// maxPods bounds for how many pods the last filter call is kept, and
	// maxPreemptions for how many the last preempt call, which is rarer.
	maxPods        = 4096
	maxPreemptions = 512
	// MaxNodes is how many rejected nodes of a call are kept.
	MaxNodes = 20
	// maxUID bounds the UIDs that are kept, and maxText each name and message, in
	// bytes: they come from requests, whose senders are not known. Kubernetes'
	// UIDs have 36, its longest resource names 317.
	maxUID  = 64
	maxText = 512
)

// Call is how one call for a pod ended.
type Call struct {
	Time time.Time
	// Passed and Rejected count nodes.
	Passed, Rejected int
	// Nodes are the first MaxNodes of the rejected nodes.
	Nodes []Node
}

// Reject counts a rejected node.
func (c *Call) Reject(node, message string) {
	if c.Nodes == nil {
		c.Nodes = make([]Node, 0, MaxNodes)
	}
	if c.Rejected++; c.Rejected <= MaxNodes {
		c.Nodes = append(c.Nodes, Node{text.Shorten(node, maxText), text.Shorten(message, maxText)})
	}
}

// Node is a rejected node, and the sentence that says why.
type Node struct{ Name, Message string }

// Store keeps the last calls of the most recently scheduled pods, by UID. It
// is safe for concurrent use.
type Store struct {
	filters     *lru.Cache[string, Call]
	preemptions *lru.Cache[string, Call]

	// since is when the store began. evicted is the time of the latest call that
	// made room for another, as nanoseconds since 1970.
	since   time.Time
	evicted atomic.Int64
}

// New returns a store that begins now.
func New(now time.Time) (*Store, error) {
	s := &Store{since: now}
	var err error
	s.filters, err = lru.NewWithEvict(maxPods, func(_ string, c Call) {
		for at := c.Time.UnixNano(); ; {
			if last := s.evicted.Load(); at <= last || s.evicted.CompareAndSwap(last, at) {
				return
			}
		}
	})
	if err != nil {
		return nil, err
	}
	s.preemptions, err = lru.New[string, Call](maxPreemptions)
	return s, err
}

// Since is when the store began.
func (s *Store) Since() time.Time { return s.since }

// SetFilter remembers a filter call for the pod with the UID.
func (s *Store) SetFilter(uid string, c Call) { set(s.filters, uid, c) }

// SetPreemption remembers a preempt call for the pod with the UID.
func (s *Store) SetPreemption(uid string, c Call) { set(s.preemptions, uid, c) }

// set copies the UID, which may point into the body of a request. A pod without
// one, or with one that is not Kubernetes', cannot be found again.
func set(cache *lru.Cache[string, Call], uid string, c Call) {
	if uid != "" && len(uid) <= maxUID {
		cache.Add(strings.Clone(uid), c)
	}
}

// Filter returns the last filter call for a pod.
func (s *Store) Filter(uid string) (Call, bool) { return s.filters.Get(uid) }

// Preemption returns the last preempt call for a pod.
func (s *Store) Preemption(uid string) (Call, bool) { return s.preemptions.Get(uid) }

// Asked is whether kube-scheduler called the filter for a pod.
type Asked string

const (
	Yes     Asked = "yes"
	No      Asked = "no"
	Unknown Asked = "unknown" // it may have, in a call that is forgotten
)

// Asked reports whether the filter was ever called for a pod, given when the
// pod was created. The answer is No only if no call since can have been
// forgotten.
func (s *Store) Asked(uid string, created time.Time) Asked {
	switch {
	case s.filters.Contains(uid):
		return Yes
	case created.Before(s.since), created.UnixNano() <= s.evicted.Load():
		return Unknown
	default:
		return No
	}
}
