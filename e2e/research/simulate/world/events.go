package world

import "time"

type event struct {
	at   time.Duration
	seq  uint64 // what was planned first comes first
	do   action
	what int    // a pod, a slot, a node or a Deployment
	of   uint64 // the attempt of the pod that it is about, or which look it is
}

type action uint8

const (
	arrive action = iota
	start
	end
	fail
	repair
	learned
	rollout // of a Deployment
	look    // at what waits, and at the servers
)

// events is a heap of what is planned, the next one first.
type events struct {
	heap []event
	seq  uint64
}

func (a event) before(b event) bool {
	if a.at != b.at {
		return a.at < b.at
	}
	return a.seq < b.seq
}

func (q *events) plan(e event) {
	q.seq++
	e.seq = q.seq
	q.heap = append(q.heap, e)
	i := len(q.heap) - 1
	for i > 0 {
		up := (i - 1) / 2
		if !q.heap[i].before(q.heap[up]) {
			break
		}
		q.heap[i], q.heap[up] = q.heap[up], q.heap[i]
		i = up
	}
}

func (q *events) next() (event, bool) {
	if len(q.heap) == 0 {
		return event{}, false
	}
	first, last := q.heap[0], len(q.heap)-1
	q.heap[0] = q.heap[last]
	q.heap = q.heap[:last]
	for i := 0; ; {
		down := 2*i + 1
		if down >= last {
			break
		}
		if down+1 < last && q.heap[down+1].before(q.heap[down]) {
			down++
		}
		if !q.heap[down].before(q.heap[i]) {
			break
		}
		q.heap[i], q.heap[down] = q.heap[down], q.heap[i]
		i = down
	}
	return first, true
}
