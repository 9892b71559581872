package server

import (
	"strings"
	"sync/atomic"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"heteroaccel.io/extender/placement"
	"heteroaccel.io/pkg/inventory"
)

const (
	// podsRemembered bounds for how many pods the last verdicts are kept, and
	// rejectionsRemembered how many rejected nodes of each.
	podsRemembered       = 4096
	rejectionsRemembered = 20
	// preemptionsRemembered does so for preemptions, which are rarer.
	preemptionsRemembered = 512
)

// rejection is one node a filter rejected.
type rejection struct {
	node    *inventory.Node
	verdict placement.Verdict
}

// forGood reports whether evicting pods could not change the verdict.
func (r *rejection) forGood() bool { return r.verdict.Cause == placement.Absent }

// verdicts are what the last filter call for one pod came to.
type verdicts struct {
	time             time.Time
	passed, rejected int
	// some are the first of the rejected nodes.
	some []nodeVerdict
}

type nodeVerdict struct{ node, message string }

// memory keeps the last verdicts of the most recently filtered pods, by uid,
// to explain them later, and of preemptions. Its locks are its own, held for a
// map operation.
type memory struct {
	pods        *lru.Cache[string, verdicts]
	preemptions *lru.Cache[string, verdicts]

	// since is when it began. forgotten is the time of the latest verdicts
	// that made room for others, as nanoseconds since 1970.
	since     time.Time
	forgotten atomic.Int64
}

// newMemory begins to remember now.
func newMemory(now time.Time) (*memory, error) {
	m := &memory{since: now}
	var err error
	m.pods, err = lru.NewWithEvict(podsRemembered, func(_ string, v verdicts) {
		for at := v.time.UnixNano(); ; {
			if last := m.forgotten.Load(); at <= last || m.forgotten.CompareAndSwap(last, at) {
				return
			}
		}
	})
	if err != nil {
		return nil, err
	}
	m.preemptions, err = lru.New[string, verdicts](preemptionsRemembered)
	return m, err
}

// remember keeps copies of what it is given: the uid points into a request's
// body.
func (m *memory) remember(uid string, now time.Time, passed int, rejected []rejection) {
	if uid != "" {
		m.pods.Add(strings.Clone(uid), verdictsOf(now, passed, rejected))
	}
}

// rememberPreemption does so with what a preempt call for the pod came to.
func (m *memory) rememberPreemption(uid string, now time.Time, kept int, rejected []rejection) {
	if uid != "" {
		m.preemptions.Add(strings.Clone(uid), verdictsOf(now, kept, rejected))
	}
}

func verdictsOf(now time.Time, passed int, rejected []rejection) verdicts {
	v := verdicts{time: now, passed: passed, rejected: len(rejected)}
	if n := min(len(rejected), rejectionsRemembered); n > 0 {
		v.some = make([]nodeVerdict, n)
		for i := range v.some {
			v.some[i] = nodeVerdict{rejected[i].node.Name, rejected[i].verdict.Message}
		}
	}
	return v
}

// recall returns the last verdicts of a pod.
func (m *memory) recall(uid string) (verdicts, bool) { return m.pods.Get(uid) }

// recallPreemption returns those of its last preemption.
func (m *memory) recallPreemption(uid string) (verdicts, bool) { return m.preemptions.Get(uid) }

// Whether kube-scheduler asked the filter about a pod.
const (
	wasAsked   = "yes"
	notAsked   = "no"
	mayBeAsked = "unknown" // it may have, before what is remembered
)

// asked tells whether the filter was ever asked about a pod that was created
// then. It is certain that it was not only when nothing since can have been
// forgotten.
func (m *memory) asked(uid string, created time.Time) string {
	switch {
	case m.pods.Contains(uid):
		return wasAsked
	case created.Before(m.since), created.UnixNano() <= m.forgotten.Load():
		return mayBeAsked
	default:
		return notAsked
	}
}
