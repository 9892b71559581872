package verbs

import (
	"encoding/json"
	"time"

	"heteroaccel.io/extender/history"
	"heteroaccel.io/extender/placement"
	"heteroaccel.io/pkg/inventory"
)

// filterResult is an extenderv1.ExtenderFilterResult.
type filterResult struct {
	// names are the nodes that the pod fits; if whole nodes came, nodes are the
	// same as they came.
	names []string
	whole bool
	nodes []json.RawMessage
	// Of the rejected nodes, evicting pods could help on the failed ones, and
	// not on the unresolvable ones.
	failed, unresolvable []rejection
}

type rejection struct{ node, message string }

// reset leaves nothing of r but the memory of its rejections.
func (r *filterResult) reset() {
	clear(r.failed)
	clear(r.unresolvable)
	*r = filterResult{failed: r.failed[:0], unresolvable: r.unresolvable[:0]}
}

// filter splits the nodes into those that the pod fits and those that it does
// not, into out, which is reset. It overwrites what a lists.
func (v *Verbs) filter(a *args, out *filterResult) {
	now := v.Inventory.Now()
	q := v.query(a.Pod, now)
	out.names, out.whole = a.NodeNames[:0], a.Nodes != nil
	call := history.Call{Time: now}
	var until time.Time // set by the first node that waits
	for i, n := range v.Inventory.Lookup(a.NodeNames) {
		found := q.Filter(n)
		if !found.Fits() {
			n, found = v.catchUp(&q, n, found, &until)
		}
		if found.Fits() {
			call.Passed++
			out.names = append(out.names, a.NodeNames[i])
			if out.whole {
				out.nodes = append(out.nodes, a.Nodes.Items[i])
			}
			continue
		}
		r := rejection{n.Name, found.Message}
		if found.Reason == placement.Absent {
			out.unresolvable = append(out.unresolvable, r)
		} else {
			out.failed = append(out.failed, r)
		}
		v.metrics.rejected[found.Reason].Inc()
		call.Reject(r.node, r.message)
	}
	v.History.SetFilter(a.Pod.Metadata.UID, call)
	v.AskedAbout(q.Needs, now)
}

const (
	// maxWait is the most that one filter call waits for newer records of nodes: a
	// fifth of the scheduler's httpTimeout.
	maxWait      = 100 * time.Millisecond
	pollInterval = 5 * time.Millisecond
)

// catchUp filters a rejected node again while its record is behind what
// kube-scheduler knows, for maxWait after the first of a call. The scheduler comes right
// after a pod is gone, some milliseconds before our informer shows that. If the
// node were rejected then, the pod would wait for the next event, which may take
// long.
func (v *Verbs) catchUp(q *placement.Query, n *inventory.Node, found placement.Result, until *time.Time) (*inventory.Node, placement.Result) {
	for !found.Fits() && q.Behind(n) {
		switch now := time.Now(); {
		case until.IsZero():
			*until = now.Add(maxWait)
		case !now.Before(*until):
			return n, found
		}
		time.Sleep(pollInterval)
		newer := v.Inventory.Lookup([]string{n.Name})[0]
		if newer == nil {
			break
		}
		if newer != n {
			n, found = newer, q.Filter(newer)
		}
	}
	return n, found
}
