package server

import (
	"maps"
	"net/http"
	"slices"
	"strconv"
	"time"

	"heteroaccel.io/extender/placement"
	"heteroaccel.io/pkg/inventory"
	"heteroaccel.io/pkg/serve"
)

// preempt answers POST /scheduler/preempt: an ExtenderPreemptionResult with
// those of the candidates on which evicting pods would help.
//
// kube-scheduler evicts nobody when none are left: an empty map is an answer,
// not a failure. It goes on with all its candidates after any status but 200,
// which is right where the request cannot be read: the result has no place for
// an error.
func (s *server) preempt(w http.ResponseWriter, r *http.Request) {
	start, outcome := time.Now(), refused
	serve.Body(w, r, bodyLimit, func(body []byte) {
		args, err := decodePreempt(body)
		if err != nil {
			serve.Error(w, http.StatusBadRequest, "%s", err)
			return
		}
		outcome = answered
		send(w, s.appendPreemption(nil, args))
	})
	s.metrics.preempt.done(outcome, start)
}

func (s *server) appendPreemption(b []byte, args *preemptArgs) []byte {
	now := s.inventory.Now()
	q := s.query(args.Pod, now)
	names := slices.Sorted(maps.Keys(args.NodeNameToMetaVictims))
	var out []rejection
	b = append(b, `{"NodeNameToMetaVictims":{`...)
	kept := 0
	for i, n := range s.inventory.Lookup(names) {
		victims := args.NodeNameToMetaVictims[names[i]]
		if victims == nil {
			victims = &metaVictims{} // kube-scheduler does not survive a null
		}
		victims.Pods = victims.pods()
		if v := q.Preempt(n, s.victims(n, victims)); v.Cause != placement.Fits {
			s.metrics.spared[v.Cause].Inc()
			out = append(out, rejection{n, v})
			continue
		}
		if kept++; kept > 1 {
			b = append(b, ',')
		}
		b = appendString(b, names[i])
		b = append(b, ':')
		b = victims.append(b)
	}
	s.memory.rememberPreemption(args.Pod.Metadata.UID, now, kept, out)
	return append(b, `}}`...)
}

// victims are the pods of a node that would be evicted, as the inventory has
// them. One that holds no device and is none of ours is not among the node's
// holders; whether it is known at all, the pods that are followed tell.
func (s *server) victims(n *inventory.Node, m *metaVictims) placement.Victims {
	var v placement.Victims
	if n == nil {
		return v
	}
	for _, p := range m.Pods {
		i := slices.IndexFunc(n.Holders, func(h *inventory.Pod) bool { return string(h.UID) == p.UID })
		switch {
		case i >= 0:
			v.Pods = append(v.Pods, n.Holders[i])
		case !s.follower.knows(p.UID):
			v.Unknown = true
		}
	}
	return v
}

// append appends the JSON of an extenderv1.MetaVictims.
func (m *metaVictims) append(b []byte) []byte {
	b = append(b, `{"Pods":[`...)
	for i, p := range m.Pods {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `{"UID":`...)
		b = appendString(b, p.UID)
		b = append(b, '}')
	}
	b = append(b, `],"NumPDBViolations":`...)
	b = strconv.AppendInt(b, m.NumPDBViolations, 10)
	return append(b, '}')
}
