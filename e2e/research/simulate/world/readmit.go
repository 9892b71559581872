package world

import (
	"cmp"
	"slices"
	"sort"
	"time"

	"heteroaccel.io/pkg/inventory"
	"heteroaccel.io/webhook/readmit/choice"
)

// turn is a waiting job that would gain by being recreated.
type turn struct {
	job     int
	gain    time.Duration // of the last of its type and kind
	created time.Time
	// keeps is the deadline that it makes so, and misses where it waits; zero for none.
	keeps time.Time
	late  bool
}

// readmit plays the product's passes, until one moves nobody. What is better
// for whom the product's own code says.
func (w *World) readmit() error {
	for {
		if !w.anyIdle() {
			return nil
		}
		best, ok := w.nextTurn()
		if !ok {
			return nil
		}
		j := &w.jobs[best.job]
		w.queues[j.kind].left()
		w.remove(best.job)
		j.moves++
		w.measured.moves++
		if err := w.admit(best.job, w.Readmit.Delay); err != nil {
			return err
		}
	}
}

// anyIdle reports whether somebody waits while a slot of another kind is free.
func (w *World) anyIdle() bool {
	waiting, idle := false, false
	for k := range w.queues {
		if w.queues[k].count > 0 {
			waiting = true
		} else if s := w.idleSlot(k); s >= 0 {
			w.list(s)
			idle = true
		}
	}
	return waiting && idle
}

// nextTurn is who is recreated first: the oldest of those that ran out of
// patience, else who keeps the soonest deadline by it, else who gains most, the
// oldest of two.
func (w *World) nextTurn() (first turn, ok bool) {
	state := w.inv.Candidates(inventory.Query{Namespace: namespace, Options: w.every})
	for from := range w.queues {
		if w.queues[from].count == 0 {
			continue
		}
		classes := make([][]waiting, len(w.Fleet.Types))
		for ahead, a := range w.queues[from].all(w.stands) {
			typ := w.jobs[a.job].typ
			classes[typ] = append(classes[typ], waiting{a.job, int64(ahead)})
		}
		for typ, class := range classes {
			if t, gains := w.firstOf(from, typ, class, state); gains && (!ok || t.before(first)) {
				first, ok = t, true
			}
		}
	}
	return first, ok
}

// waiting is a job in a queue, and how many stand before it.
type waiting struct {
	job   int
	ahead int64
}

// firstOf is the oldest of those jobs of a type in the queue of a kind, the
// oldest first, that have rested and gain.
func (w *World) firstOf(from, typ int, class []waiting, state []inventory.Candidate) (turn, bool) {
	if len(class) == 0 {
		return turn{}, false
	}
	own, rules := w.Fleet.Kinds[from].Name, w.Readmit.Rules
	candidates := w.candidatesOf(typ, state)
	_, gain := choice.Better(w.Policy, candidates, own, rules.Margin)
	if w.Slack > 0 {
		return w.firstByDeadline(from, class, candidates, gain)
	}
	if gain <= 0 {
		return turn{}, false
	}
	// The more stand before it, the more a job gains.
	i := sort.Search(len(class), func(i int) bool {
		better, _ := choice.Better(w.Policy, choice.AtPosition(candidates, own, class[i].ahead), own, rules.Margin+w.Readmit.Delay)
		return better != nil
	})
	now := epoch.Add(w.now)
	for ; i < len(class); i++ {
		j := &w.jobs[class[i].job]
		created := j.pod.Run.Created
		if !rules.EligibleAt(created, j.moves).After(now) {
			return turn{job: class[i].job, gain: gain, created: created, late: now.Sub(created) > rules.Patience}, true
		}
	}
	return turn{}, false
}

// candidatesOf are a type's, given the state of every kind.
func (w *World) candidatesOf(typ int, state []inventory.Candidate) []inventory.Candidate {
	candidates := make([]inventory.Candidate, len(w.options[typ]))
	for i, o := range w.options[typ] {
		candidates[i] = state[w.kindOf[o.Kind]]
		candidates[i].Option = o
	}
	return candidates
}

// before is the order of turns of pods of one priority.
func (t turn) before(u turn) bool {
	switch {
	case t.late != u.late:
		return t.late
	case t.late:
		return t.created.Before(u.created)
	}
	return cmp.Or(choice.SoonestFirst(t.keeps, u.keeps), cmp.Compare(u.gain, t.gain), t.created.Compare(u.created)) < 0
}

// everyKind is an option for each kind there is.
func (w *World) everyKind() []inventory.Option {
	options := slices.Grow([]inventory.Option(nil), len(w.Fleet.Kinds))
	for _, k := range w.Fleet.Kinds {
		options = append(options, inventory.Option{Kind: k.Name, Needs: needs(k.Name)})
	}
	return options
}
