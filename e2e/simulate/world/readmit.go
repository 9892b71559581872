package world

import (
	"time"

	"heteroaccel.io/pkg/inventory"
	"heteroaccel.io/pkg/policy"
)

// readmit finds, of the pods that wait for other kinds, the one that gains
// most by an idle slot of this kind, and makes it again for it.
func (w *World) readmit(kind int) (moved bool, err error) {
	best, most := -1, w.Readmit.Margin
	for from := range w.queues {
		if from == kind {
			continue
		}
		seen := map[int]bool{}
		looked := 0
		for ahead, a := range w.queues[from].all(w.stands) {
			if looked >= w.Readmit.Looked {
				break
			}
			looked++
			j := &w.jobs[a.job]
			if seen[j.typ] || j.moves >= w.Readmit.Most || w.Fleet.Types[j.typ].Service[kind] <= 0 {
				continue
			}
			seen[j.typ] = true
			if gain := w.gain(j, kind, ahead); gain > most {
				best, most = a.job, gain
			}
		}
	}
	if best < 0 {
		return false, nil
	}
	j := &w.jobs[best]
	w.queues[j.kind].left()
	w.remove(best)
	j.moves++
	w.measured.moves++
	return true, w.admit(best, w.Readmit.Delay)
}

// gain is how much earlier a waiting job is expected to be done on a kind, by
// the policy's own ranking; nothing unless the policy prefers that kind.
func (w *World) gain(j *job, kind, ahead int) time.Duration {
	own := w.Fleet.Kinds[j.kind].Name
	_, ranked := w.decide(inventory.Query{Namespace: namespace, Options: w.options[j.typ]}, func(cs []inventory.Candidate) {
		for i := range cs {
			if cs[i].Kind == own { // only those before it stand in its way
				cs[i].Queued = min(cs[i].Queued, int64(ahead))
			}
		}
	})
	if ranked[0].Kind != w.Fleet.Kinds[kind].Name || ranked[0].Idle() <= 0 {
		return 0
	}
	for _, r := range ranked {
		if r.Kind == own {
			if r.Finish == policy.Never {
				return policy.Never
			}
			return r.Finish - ranked[0].Finish
		}
	}
	return 0
}
