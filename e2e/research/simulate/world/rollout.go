package world

import (
	"slices"
	"time"
)

// planRollout plans the next rollout of a Deployment.
func (w *World) planRollout(d *deployment) {
	if w.Serving.Rollouts > 0 {
		at := w.now + time.Duration(d.rollouts.ExpFloat64()*float64(w.Serving.Rollouts))
		w.events.plan(event{at: at, do: rollout, what: d.number})
	}
}

// rollOut is somebody who changes a Deployment's template.
func (w *World) rollOut(d *deployment) error {
	if w.over {
		return nil
	}
	w.planRollout(d)
	if err := w.abandon(d); err != nil {
		return err
	}
	d.revision++
	d.rolledOut++
	return w.reconcile(d)
}

// reconcile is the Deployment's controller with its defaults for so few replicas: one pod
// more than there are replicas, and none less that is Ready.
func (w *World) reconcile(d *deployment) error {
	for {
		current, ready := 0, 0
		leaves := -1 // of another revision: one that is not Ready first, else the youngest
		for _, id := range d.pods {
			r := w.jobs[id].serves
			if r.ready {
				ready++
			}
			if r.revision == d.revision {
				current++
			} else if leaves < 0 || !r.ready || w.jobs[leaves].serves.ready && r.readyAt > w.jobs[leaves].serves.readyAt {
				leaves = id
			}
		}
		var err error
		switch {
		case current < d.Replicas && len(d.pods) <= d.Replicas:
			err = w.create(d)
		case leaves >= 0 && (!w.jobs[leaves].serves.ready || ready > d.Replicas):
			err = w.drop(leaves)
		default:
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// create is the ReplicaSet, which has one too few.
func (w *World) create(d *deployment) error {
	id := w.add(job{typ: d.Type, arrived: w.now, factor: 1, slot: -1, serves: &replica{of: d, revision: d.revision}})
	d.pods = append(d.pods, id)
	return w.admit(id, 0)
}

// becameReady is a server that serves from now on.
func (w *World) becameReady(id int) error {
	j := &w.jobs[id]
	d := j.serves.of
	w.count(d)
	j.serves.ready, j.serves.readyAt = true, w.now
	w.show(j)
	if j.serves.takes != nil {
		return w.adopt(d)
	}
	return w.reconcile(d)
}

// drop deletes the pod of a server, wherever it is, and leaves what it held to others.
func (w *World) drop(id int) error {
	j := &w.jobs[id]
	d, s := j.serves.of, j.slot
	w.count(d)
	d.pods = slices.DeleteFunc(d.pods, func(other int) bool { return other == id })
	if s < 0 {
		w.queues[j.kind].left()
	}
	held := s >= 0 && w.slots[s].job == id // else its node has failed
	if held {
		w.vacate(s)
	}
	w.remove(id)
	j.serves = nil
	w.vacant = append(w.vacant, id)
	if !held {
		return nil
	}
	w.list(s)
	return w.schedule(w.slots[s].kind)
}

// lostServer is a server whose node has failed: its ReplicaSet creates another one.
func (w *World) lostServer(id int) error {
	r := w.jobs[id].serves
	d := r.of
	if m := d.move; m != nil && (m.old == id || m.next == id) {
		if err := w.abandon(d); err != nil {
			return err
		}
	}
	if r.takes == nil { // else it went with its move
		d.lost++
		if err := w.drop(id); err != nil {
			return err
		}
	}
	return w.reconcile(d)
}
