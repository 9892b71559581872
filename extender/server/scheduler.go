package server

import (
	"errors"
	"net/http"
	"time"

	"heteroaccel.io/extender/placement"
	"heteroaccel.io/pkg/inventory"
	"heteroaccel.io/pkg/serve"
)

// bodyLimit is the most that is read of a request, in bytes: the names of more
// nodes than Kubernetes supports, or some hundreds of full nodes.
const bodyLimit = 16 << 20

const (
	// patience is the most that one filter call waits for news of nodes whose
	// records are behind: a small part of the scheduler's httpTimeout.
	patience = 100 * time.Millisecond
	glance   = 5 * time.Millisecond
)

// filter answers POST /scheduler/filter: an ExtenderFilterResult.
func (s *server) filter(w http.ResponseWriter, r *http.Request) {
	s.serve(w, r, &s.metrics.filter, s.appendVerdicts, appendFailure)
}

// prioritize answers POST /scheduler/prioritize: a HostPriorityList, which has
// no place for an error; without scores the other plugins' decide.
func (s *server) prioritize(w http.ResponseWriter, r *http.Request) {
	s.serve(w, r, &s.metrics.prioritize, s.appendScores, func(b []byte, _ string) []byte {
		return append(b, "[]"...)
	})
}

// serve decodes a request of kube-scheduler's, has it answered and sends the
// answer. A pod that cannot be placed is a 200 all the same: kube-scheduler
// does not read the body of anything else.
func (s *server) serve(w http.ResponseWriter, r *http.Request, v *verb,
	answer func([]byte, *scratch) []byte, failure func([]byte, string) []byte) {
	start, outcome := time.Now(), refused
	serve.Body(w, r, bodyLimit, func(body []byte) {
		sc := borrow()
		defer sc.release()
		err := sc.decode(body)
		switch {
		case errors.Is(err, errPod):
			outcome = failed
			s.log.Warn().Err(err).Str("path", r.URL.Path).Msg("a pod cannot be placed")
			sc.out = failure(sc.out, err.Error())
		case err != nil:
			serve.Error(w, http.StatusBadRequest, "%s", err)
			return
		default:
			outcome = answered
			sc.out = answer(sc.out, sc)
		}
		send(w, sc.out)
	})
	v.done(outcome, start)
}

// query is the pod of a request at a time.
//
// Whether it is one of ours the inventory says. Until the informer has shown
// it, its own word counts: who claims falsely to be ours is kept off broken
// devices, no more.
func (s *server) query(pod *podArgs, now time.Time) placement.Query {
	q := placement.Query{
		Needs:  placement.NeedsOf(pod.pod()),
		Oldest: now.Add(-s.inventory.MaxTelemetryAge()),
	}
	known := s.inventory.Pod(pod.Metadata.Namespace, pod.Metadata.Name)
	if known != nil && !known.Done && string(known.UID) == pod.Metadata.UID {
		q.Bound = known.Node
		q.Foreign = known.Managed == nil
	} else {
		q.Foreign = !pod.claims()
	}
	q.Alone = q.Foreign && s.managedOnly
	return q
}

func (s *server) appendVerdicts(b []byte, sc *scratch) []byte {
	now := s.inventory.Now()
	q, nodes := s.query(sc.args.Pod, now), s.inventory.Lookup(sc.args.NodeNames)
	if sc.args.Nodes == nil {
		b = append(b, `{"Nodes":null,"NodeNames":[`...)
	} else {
		b = append(b, `{"Nodes":{"metadata":{},"items":[`...)
	}
	passed, left := 0, patience
	for i, n := range nodes {
		if v := q.Filter(n); v.Cause != placement.Fits {
			if n, v = s.catchUp(&q, n, v, &left); v.Cause != placement.Fits {
				sc.rejected = append(sc.rejected, rejection{n, v})
				continue
			}
		}
		if passed++; passed > 1 {
			b = append(b, ',')
		}
		if sc.args.Nodes == nil {
			b = appendString(b, sc.args.NodeNames[i])
		} else {
			b = append(b, sc.args.Nodes.Items[i]...)
		}
	}
	if sc.args.Nodes == nil {
		b = append(b, ']')
	} else {
		b = append(b, `]},"NodeNames":null`...)
	}
	b = append(b, `,"FailedNodes":`...)
	b = appendFailed(b, sc.rejected, false)
	b = append(b, `,"FailedAndUnresolvableNodes":`...)
	b = appendFailed(b, sc.rejected, true)
	for i := range sc.rejected {
		s.metrics.rejected[sc.rejected[i].verdict.Cause].Inc()
	}
	s.memory.remember(sc.args.Pod.Metadata.UID, now, passed, sc.rejected)
	s.follower.askedAbout(q.Needs, now)
	return append(b, `,"Error":""}`...)
}

// catchUp judges a node that was rejected anew while its record is behind what
// kube-scheduler knows, for as long as is left. The scheduler comes right after
// a pod is gone, some milliseconds before our informer has it; rejected then,
// the pod would wait for the next event, which may be long in coming.
func (s *server) catchUp(q *placement.Query, n *inventory.Node, v placement.Verdict, left *time.Duration) (*inventory.Node, placement.Verdict) {
	for v.Cause != placement.Fits && q.Behind(n) && *left > 0 {
		time.Sleep(glance)
		*left -= glance
		newer := s.inventory.Lookup([]string{n.Name})[0]
		if newer == nil {
			break
		}
		if newer != n {
			n, v = newer, q.Filter(newer)
		}
	}
	return n, v
}

func (s *server) appendScores(b []byte, sc *scratch) []byte {
	q, nodes := s.query(sc.args.Pod, s.inventory.Now()), s.inventory.Lookup(sc.args.NodeNames)
	b = append(b, '[')
	for i, n := range nodes {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendScore(b, sc.args.NodeNames[i], q.Score(n))
	}
	return append(b, ']')
}
