package world

import (
	"slices"
	"time"

	"heteroaccel.io/pkg/inventory"
	"heteroaccel.io/webhook/readmit/choice"
	"heteroaccel.io/webhook/readmit/pending"
)

// fastest is what a run of a type takes at least, from arrival to end.
func (w *World) fastest(typ int) time.Duration { return w.Startup + w.Fleet.Fastest(typ) }

// deadlineOf is the deadline of a job's pod as it is now. It does not know of start-up:
// what a run is expected to take does not either.
func (w *World) deadlineOf(j *job) inventory.Deadline {
	if !j.urgent {
		return inventory.Deadline{}
	}
	of := time.Duration(w.Slack * float64(w.fastest(j.typ)))
	return inventory.DeadlineOf(of, w.now-j.arrived)
}

// optionsOf are the options of a job's pod.
func (w *World) optionsOf(j *job) []inventory.Option {
	if w.Slack == 0 {
		return w.options[j.typ]
	}
	options, d := slices.Clone(w.options[j.typ]), w.deadlineOf(j)
	for i := range options {
		options[i].Deadline = d
	}
	return options
}

// firstByDeadline is firstOf where pods have deadlines, and the last of them gains so much:
// whether one gains is its own.
func (w *World) firstByDeadline(from int, class []waiting, candidates []inventory.Candidate, gainOfLast time.Duration) (first turn, ok bool) {
	own, rules, now := w.Fleet.Kinds[from].Name, w.Readmit.Rules, epoch.Add(w.now)
	for _, a := range class {
		j := &w.jobs[a.job]
		created := j.pod.Run.Created
		if rules.EligibleAt(created, j.moves).After(now) {
			continue
		}
		at, d := choice.AtPosition(candidates, own, a.ahead), w.deadlineOf(j)
		choice.SetDeadline(at, own, d, pending.OwnerJob)
		ranked, gain := choice.Better(w.Policy, at, own, rules.Margin+w.Readmit.Delay)
		if ranked == nil {
			continue
		}
		if gainOfLast > 0 {
			gain = gainOfLast
		}
		t := turn{job: a.job, gain: gain, created: created, late: now.Sub(created) > rules.Patience}
		if choice.Keeps(ranked, own) {
			t.keeps = now.Add(d.Left)
		}
		if !ok || t.before(first) {
			first, ok = t, true
		}
	}
	return first, ok
}
