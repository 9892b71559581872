package world

import (
	"time"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/servicetime"
	"heteroaccel.io/webhook/learning"
)

// report is a run that ended.
type report struct {
	typ, kind int
	took      time.Duration
	ended     time.Time
}

// startLearning replaces what is expected by what is known at the start.
func (w *World) startLearning() {
	if w.Learning == nil {
		return
	}
	w.trials = learning.NewTrials()
	for i := range w.Fleet.Types {
		w.estimates = append(w.estimates, make([]servicetime.Estimate, len(w.Fleet.Kinds)))
		w.retime(i)
	}
}

// report plans that a run that ended is learned from.
func (w *World) report(j *job) {
	if w.Learning == nil {
		return
	}
	w.events.plan(event{at: w.now + w.Learning.Delay, do: learned, what: len(w.reports)})
	w.reports = append(w.reports, report{j.typ, j.kind, w.service(j, j.kind), epoch.Add(w.now)})
}

func (w *World) learn(r report) {
	e := &w.estimates[r.typ][r.kind]
	*e = e.Observe(r.took, r.ended)
	w.retime(r.typ)
}

// retime computes a type's times again, as for a profile whose order is that
// of the fleet's kinds.
func (w *World) retime(typ int) {
	var kinds []int
	for j, s := range w.Fleet.Types[typ].Service {
		if s > 0 {
			kinds = append(kinds, j)
		}
	}
	hints, known, bases := make([]time.Duration, len(kinds)), make([]time.Duration, len(kinds)), make([]servicetime.Basis, len(kinds))
	any := false
	for n, j := range kinds {
		if w.Learning.Hint != nil {
			hints[n] = w.Learning.Hint(typ, j)
		}
		known[n], bases[n] = servicetime.Expect(hints[n], w.estimates[typ][j])
		any = any || known[n] > 0
	}
	times := known
	if !w.Learning.Plain {
		times = servicetime.Complete(known, servicetime.RelativeTimes(make([]float64, len(kinds))))
	}
	w.expected[typ] = map[accel.Kind]time.Duration{}
	for n, j := range kinds {
		name := w.Fleet.Kinds[j].Name
		if any {
			w.expected[typ][name] = times[n]
		}
		for i := range w.options[typ] {
			if o := &w.options[typ][i]; o.Kind == name {
				o.Service, o.Hint, o.Basis = times[n], hints[n], bases[n]
				o.Timed = w.estimates[typ][j].Timed(epoch.Add(w.now))
			}
		}
	}
}

// teaches reports whether a job's pod may be spent on learning. Who was moved
// once may not.
func (w *World) teaches(j *job) bool {
	if w.Learning == nil || w.Learning.Plain || j.moves > 0 {
		return false
	}
	for i := range w.options[j.typ] {
		o := &w.options[j.typ][i]
		o.Timed = w.estimates[j.typ][w.kindOf[o.Kind]].Timed(epoch.Add(w.now))
	}
	return true
}
