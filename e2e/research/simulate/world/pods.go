package world

import (
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"heteroaccel.io/pkg/inventory"
	"heteroaccel.io/pkg/policy"
)

// arrive is one request: of type typ by a camera, or with -1 the next of the
// Poisson process.
func (w *World) arrive(typ int) error {
	if w.over || w.Arrivals > 0 && w.measured.arrivals == w.Arrivals {
		return nil
	}
	j := job{typ: typ, arrived: w.now, factor: w.factor(), camera: typ >= 0, slot: -1}
	j.urgent = w.Urgent == 0 || w.urgency.Float64() < w.Urgent
	if !j.camera {
		w.events.plan(event{at: w.now + w.interval(), do: arrive, what: -1})
		i, _ := slices.BinarySearch(w.shares, w.arrivals.Float64())
		j.typ = min(i, len(w.shares)-1)
	}
	w.measured.arrivals++
	if w.now >= w.Warmup {
		w.measured.offered++
	}
	return w.admit(w.add(j), 0)
}

// add gives a job its number.
func (w *World) add(j job) (id int) {
	n := len(w.vacant)
	if n == 0 {
		w.jobs = append(w.jobs, j)
		return len(w.jobs) - 1
	}
	id, w.vacant = w.vacant[n-1], w.vacant[:n-1]
	j.attempt = w.jobs[id].attempt
	w.jobs[id] = j
	return id
}

// admit is the webhook: it decides, reserves, and the pod is there, unbound.
// If its kind has a free slot the scheduler binds it at once, to be started a
// delay later than usual.
func (w *World) admit(id int, delay time.Duration) error {
	j := &w.jobs[id]
	w.serial++
	name := fmt.Sprintf("pod-%d", w.serial)
	q := inventory.Query{Namespace: namespace, Options: w.optionsOf(j), Reservation: name}
	var chosen inventory.Candidate
	if j.serves != nil {
		chosen = w.decideServer(j, q)
	} else {
		chosen = w.decide(q, w.Policy, w.Fleet.Types[j.typ].Name, w.teaches(j))[0].Candidate
	}
	j.attempt++
	j.kind, j.slot = w.kindOf[chosen.Kind], -1
	j.pod = inventory.Pod{
		Namespace: namespace, Name: name, Needs: chosen.Needs,
		Managed: &inventory.Managed{Inference: w.Fleet.Types[j.typ].Name, Reservation: name, Kind: chosen.Kind},
		Run:     &inventory.Run{Phase: corev1.PodPending, Created: epoch.Add(w.now), Ends: j.serves == nil},
	}
	w.show(j)
	if w.queues[j.kind].count == 0 {
		if s := w.idleSlot(j.kind); s >= 0 {
			return w.bind(id, s, delay)
		}
	}
	w.queues[j.kind].push(waiter{id, j.attempt})
	return nil
}

// decide asks a policy, and reserves what it ranks first. teaches says that the pod may be
// spent on learning.
func (w *World) decide(q inventory.Query, rank policy.Policy, inference string, teaches bool) (ranked []policy.Ranked) {
	var began time.Time
	if w.Clock != nil {
		began = w.Clock()
	}
	w.inv.Decide(q, func(cs []inventory.Candidate) int {
		if teaches {
			w.trials.Allow(inference, cs)
		}
		ranked = rank(cs)
		if teaches {
			w.trials.Record(inference, ranked[0])
		}
		if ranked[0].Trial != policy.NoTrial {
			w.measured.trials++
		}
		return ranked[0].Index
	})
	w.measured.decisions++
	if w.Clock != nil {
		w.measured.deciding = append(w.measured.deciding, w.Clock().Sub(began))
	}
	return ranked
}

// show is the informer: the product sees the job's pod as it is now.
func (w *World) show(j *job) {
	p := j.pod
	w.inv.SetPod(&p)
	if j.serves != nil {
		w.showServer(j)
	}
}

// bind puts a waiting job on a free slot.
func (w *World) bind(id, s int, delay time.Duration) error {
	j, sl := &w.jobs[id], &w.slots[s]
	if sl.job >= 0 || !sl.up || sl.kind != j.kind {
		return fmt.Errorf("slot %d of %s is given out twice, or is not there", s, w.Fleet.Kinds[sl.kind].Name)
	}
	sl.job, sl.since, j.slot = id, w.now, s
	j.pod.Node = w.nodes[sl.node].record.Name
	w.show(j)
	startup := w.Startup
	if j.serves != nil {
		startup = w.Serving.Ready
	}
	w.events.plan(event{at: w.now + delay + startup, do: start, what: id, of: j.attempt})
	return nil
}

func (w *World) started(id int) error {
	j := &w.jobs[id]
	run := *j.pod.Run
	run.Phase, run.Started = corev1.PodRunning, epoch.Add(w.now)
	j.pod.Run = &run
	if j.serves != nil {
		return w.becameReady(id)
	}
	w.show(j)
	w.events.plan(event{at: w.now + w.service(j, j.kind), do: end, what: id, of: j.attempt})
	return nil
}

func (w *World) ended(id int) error {
	j := &w.jobs[id]
	w.measured.complete(w, j)
	w.report(j)
	s := j.slot
	w.vacate(s)
	w.remove(id)
	w.list(s)
	if j.camera {
		w.events.plan(event{at: w.now, do: arrive, what: j.typ})
	}
	w.vacant = append(w.vacant, id)
	return w.schedule(w.slots[s].kind)
}

// vacate takes the job off a slot.
func (w *World) vacate(s int) {
	sl := &w.slots[s]
	w.measured.occupy(w, sl)
	sl.job = -1
}

// remove deletes a job's pod; what was planned for it is void.
func (w *World) remove(id int) {
	j := &w.jobs[id]
	j.attempt++
	j.slot = -1
	w.inv.DeletePod(namespace, j.pod.Name)
	if j.serves != nil {
		w.serving.known.Delete(types.NamespacedName{Namespace: namespace, Name: j.pod.Name})
	}
	w.wake()
}

// schedule gives a free slot of a kind to who waits for it the longest, and if
// nobody does to who would rather have it than wait on.
func (w *World) schedule(kind int) error {
	q := &w.queues[kind]
	for {
		s := w.idleSlot(kind)
		if s < 0 {
			return nil
		}
		head, ok := q.pop(w.stands)
		if ok {
			if err := w.bind(head.job, s, 0); err != nil {
				return err
			}
			continue
		}
		w.list(s)
		if w.Readmit == nil || w.serving != nil { // with servers, a look comes that does it
			return nil
		}
		return w.readmit()
	}
}

// stands reports whether a waiter still waits.
func (w *World) stands(a waiter) bool {
	j := &w.jobs[a.job]
	return j.attempt == a.attempt && j.slot < 0
}
