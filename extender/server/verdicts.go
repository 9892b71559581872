package server

import (
	"strings"
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
// to explain them later. Its lock is its own, held for a map operation.
type memory struct {
	pods *lru.Cache[string, verdicts]
}

func newMemory() (*memory, error) {
	pods, err := lru.New[string, verdicts](podsRemembered)
	if err != nil {
		return nil, err
	}
	return &memory{pods}, nil
}

// remember keeps copies of what it is given: the uid points into a request's
// body.
func (m *memory) remember(uid string, now time.Time, passed int, rejected []rejection) {
	if uid == "" {
		return
	}
	v := verdicts{time: now, passed: passed, rejected: len(rejected)}
	if n := min(len(rejected), rejectionsRemembered); n > 0 {
		v.some = make([]nodeVerdict, n)
		for i := range v.some {
			v.some[i] = nodeVerdict{rejected[i].node.Name, rejected[i].verdict.Message}
		}
	}
	m.pods.Add(strings.Clone(uid), v)
}

// recall returns the last verdicts of a pod.
func (m *memory) recall(uid string) (verdicts, bool) { return m.pods.Get(uid) }
