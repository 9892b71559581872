package world

import (
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"heteroaccel.io/pkg/inventory"
	"heteroaccel.io/webhook/readmit/choice"
	"heteroaccel.io/webhook/readmit/servers"
	"heteroaccel.io/webhook/readmit/upgrade"
)

// When the product's loop looks at servers, and how many it moves at a time: see package
// readmit. It looks at what changed after settle, at no server sooner than after
// lookPeriod, and at all of them each tick.
const (
	settle     = 10 * time.Millisecond
	lookPeriod = 200 * time.Millisecond
	tick       = 5 * time.Second
	maxMoving  = 4
)

// move is a server on its way to a faster kind.
type move struct {
	of        *deployment
	old, next int // pods
	kind      int // where to
	asked     bool
	began     time.Duration
	// reservation is what is held until the next pod is admitted.
	reservation string
}

// wake plans a look at what has changed.
func (w *World) wake() {
	if w.serving != nil {
		w.planLook(settle)
	}
}

// planLook plans a look after so long, unless one comes before that anyway.
func (w *World) planLook(after time.Duration) {
	s, at := w.serving, w.now+after
	if s.planned && s.lookAt <= at {
		return
	}
	s.look++
	s.lookAt, s.planned = at, true
	w.events.plan(event{at: at, do: look, of: s.look})
}

// look is one turn of the product's loop: who waits goes first, and only while none of
// them could have an idle device are servers looked at. A tick that finds what the last
// look found is left out: the next look is when something changes or is due.
func (w *World) look() error {
	s := w.serving
	s.planned = false
	var next time.Duration
	left := false
	if w.Readmit != nil {
		if err := w.readmit(); err != nil {
			return err
		}
		next, left = w.resting()
	}
	if !left && w.Serving.MoveUp != nil {
		after, err := w.moveUp()
		if err != nil {
			return err
		}
		next = sooner(next, after)
	} else {
		w.serving.patience.Forget()
	}
	if next > 0 {
		w.planLook(next)
	}
	return nil
}

// resting reports whether a pod that waits gains by an idle device and may not be
// recreated yet, and in how long the first of them may.
func (w *World) resting() (next time.Duration, left bool) {
	if !w.anyIdle() {
		return 0, false
	}
	now := epoch.Add(w.now)
	state := w.inv.Candidates(inventory.Query{Namespace: namespace, Options: w.every})
	gains := map[[2]int]bool{}
	for from := range w.queues {
		for _, a := range w.queues[from].all(w.stands) {
			j := &w.jobs[a.job]
			wait := w.Readmit.EligibleAt(j.pod.Run.Created, j.moves).Sub(now)
			if wait <= 0 {
				continue
			}
			class := [2]int{from, j.typ}
			gain, known := gains[class]
			if !known {
				_, by := choice.Better(w.Policy, w.candidatesOf(j.typ, state), w.Fleet.Kinds[from].Name, w.Readmit.Margin)
				gain = by > 0
				gains[class] = gain
			}
			if gain {
				next, left = sooner(next, wait), true
			}
		}
	}
	return next, left
}

// moveUp looks at the servers that were displaced or ask for it.
func (w *World) moveUp() (next time.Duration, err error) {
	s, now := w.serving, epoch.Add(w.now)
	all := s.known.Upgradable()
	if wait := s.looked.Add(lookPeriod).Sub(now); len(all) > 0 && wait > 0 {
		return wait, nil
	}
	s.looked = now
	owners, pods := map[types.NamespacedName]bool{}, map[types.UID]bool{}
	for _, one := range all {
		owners[one.Owner()], pods[one.UID] = true, true
	}
	s.ledger.Keep(owners, now)
	s.patience.Keep(pods)
	byName := map[string]int{}
	for _, d := range s.deployments {
		for _, id := range d.pods {
			byName[w.jobs[id].pod.Name] = id
		}
	}
	for _, one := range all {
		wait, err := w.consider(one, byName[one.Name], now)
		if err != nil {
			return 0, err
		}
		next = sooner(next, wait)
	}
	return next, nil
}

// consider starts to move a server if the product's rules and its ledger let it, in the
// product's order. It returns in how long it is to be considered again, 0 where something
// else will tell.
func (w *World) consider(one *servers.Server, id int, now time.Time) (next time.Duration, err error) {
	s, rules := w.serving, *w.Serving.MoveUp
	displaced := one.Displaced != ""
	if one.ReadySince.IsZero() || s.known.RollsOut(one) {
		return 0, nil
	}
	d := w.jobs[id].serves.of
	q := inventory.Query{Namespace: namespace, Pod: one.Name, Options: w.options[d.Type]}
	if one.Kind == w.Fleet.Kinds[d.best].Name {
		return 0, nil
	}
	of := upgrade.Server{Pod: one.UID, Kind: one.Kind, Displaced: one.Displaced, Ready: one.ReadySince}
	to, wait := s.patience.May(rules, of, w.inv.Candidates(q), now)
	if to == nil {
		return wait, nil
	}
	if wait, ok := s.ledger.May(rules, one.Owner(), one.SetUID, !displaced, s.known.Count(one.Owner()), now); !ok {
		return wait, nil
	}
	if s.moving == maxMoving {
		return tick, nil
	}
	w.serial++
	q.Reservation = fmt.Sprintf("upgrade-%d", w.serial)
	chosen, ok := w.inv.DecideIf(q, func(c []inventory.Candidate) int { return rules.Faster(c, one.Kind, one.Displaced, to) })
	if !ok {
		return tick, nil
	}
	s.ledger.Begin(one.Owner(), one.SetUID, !displaced, now)
	return 0, w.begin(&move{of: d, old: id, kind: w.kindOf[chosen.Kind], asked: !displaced, began: w.now, reservation: q.Reservation})
}

// begin creates the next pod of a server, while that serves on.
func (w *World) begin(m *move) error {
	d := m.of
	if w.serving.began != nil {
		w.serving.began(m)
	}
	d.move = m
	w.serving.moving++
	d.noteMove(m)
	m.next = w.add(job{typ: d.Type, arrived: w.now, factor: 1, slot: -1, serves: &replica{of: d, revision: w.jobs[m.old].serves.revision, takes: m}})
	if err := w.admit(m.next, 0); err != nil {
		return err
	}
	if w.jobs[m.next].kind != m.kind {
		return w.abandon(d)
	}
	return nil
}

// adopt ends a move whose next pod is Ready: that is its ReplicaSet's now, which deletes
// the one before it.
func (w *World) adopt(d *deployment) error {
	m := d.move
	j := &w.jobs[m.next]
	j.serves.takes = nil
	d.pods = append(d.pods, m.next)
	w.show(j)
	if err := w.drop(m.old); err != nil {
		return err
	}
	w.endMove(m, upgrade.Moved)
	return nil
}

// abandon deletes the next pod of a server that moves, if one of the Deployment's does.
func (w *World) abandon(d *deployment) error {
	if d.move == nil {
		return nil
	}
	m := d.move
	w.endMove(m, upgrade.Lost)
	return w.drop(m.next)
}

func (w *World) endMove(m *move, what upgrade.Outcome) {
	m.of.move = nil
	w.serving.moving--
	m.of.noteEnd(m, what, w.now)
	owner := types.NamespacedName{Namespace: namespace, Name: m.of.name()}
	w.serving.ledger.End(*w.Serving.MoveUp, owner, what, epoch.Add(w.now))
	w.wake()
}

// sooner is the shorter of two waits, of which 0 is none.
func sooner(a, b time.Duration) time.Duration {
	if a == 0 || b > 0 && b < a {
		return b
	}
	return a
}
