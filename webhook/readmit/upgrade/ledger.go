package upgrade

import (
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

const (
	// window is what the limits of moves count in, day what is remembered of an owner's.
	window = time.Hour
	day    = 24 * time.Hour
	// maxSettled bounds how long a server stays that asks and was moved several times in a
	// day.
	maxSettled = 4 * time.Hour
	// maxBackoff bounds what the doubling of Backoff comes to.
	maxBackoff = time.Hour
	// lostPause is how long an owner is left alone that was just changing, doubling where it
	// does not end to, up to maxLostPause.
	lostPause    = time.Second
	maxLostPause = time.Minute
	// oftenMoved is how often a server may be moved within an hour and nothing is wrong: once
	// for each rollout of a busy day.
	oftenMoved = 3
)

// Ledger is what became of the moves of each Deployment. Its methods may be called from any
// goroutine. The zero value has had none.
type Ledger struct {
	mu     sync.Mutex
	owners map[types.NamespacedName]*owner
	// asked are the moves of servers that asked, of the whole cluster.
	asked []time.Time
}

type owner struct {
	// busy is set while one of its servers moves.
	busy bool
	// asked are the moves of its servers that asked, within the last hour, repeats those of
	// its revision within the last day, and moved all that succeeded within the last hour.
	asked, repeats, moved []time.Time
	// failures is how many moves of its revision failed in a row, losses how many were lost,
	// and notBefore until when its servers are left alone.
	revision  types.UID
	failures  int
	losses    int
	notBefore time.Time
	// reported is set once a failure was reported that no move has followed.
	reported bool
}

// May reports whether a server of an owner's revision may move now; else it may after wait,
// or, where that is 0, once the one has ended that moves. asked is set for one that was not
// displaced; the owner has so many servers. What failed with another revision says nothing
// of this one.
func (l *Ledger) May(r Rules, of types.NamespacedName, revision types.UID, asked bool, servers int, now time.Time) (wait time.Duration, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	o := l.owners[of]
	if o == nil {
		o = &owner{}
	}
	if o.busy {
		return 0, false
	}
	if o.revision != revision {
		o.revision, o.failures, o.losses, o.notBefore, o.reported, o.repeats = revision, 0, 0, time.Time{}, false, nil
	}
	if wait := o.notBefore.Sub(now); wait > 0 {
		return wait, false
	}
	if asked {
		o.asked, l.asked, o.repeats = since(o.asked, now, window), since(l.asked, now, window), since(o.repeats, now, day)
		if wait := max(over(o.asked, r.PerOwner, now), over(l.asked, r.PerCluster, now), r.settles(o.repeats, servers, now)); wait > 0 {
			return wait, false
		}
	}
	return 0, true
}

// Begin notes that a server moves that may.
func (l *Ledger) Begin(of types.NamespacedName, revision types.UID, asked bool, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	o := l.owners[of]
	if o == nil {
		if l.owners == nil {
			l.owners = map[types.NamespacedName]*owner{}
		}
		o = &owner{}
		l.owners[of] = o
	}
	if o.busy, o.revision = true, revision; asked {
		o.asked, l.asked, o.repeats = append(o.asked, now), append(l.asked, now), append(o.repeats, now)
	}
}

// Busy reports whether a server of an owner moves.
func (l *Ledger) Busy(of types.NamespacedName) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	o := l.owners[of]
	return o != nil && o.busy
}

// Outcome is what became of a move.
type Outcome int

const (
	Moved  Outcome = iota
	Lost           // the server or its Deployment changed meanwhile
	Failed         // somebody has to do something about it
)

// End notes what became of a move. report is set for the first failure of several in a row.
func (l *Ledger) End(r Rules, of types.NamespacedName, what Outcome, now time.Time) (report bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	o := l.owners[of]
	if o == nil {
		return false
	}
	o.busy = false
	switch what {
	case Moved:
		o.moved = append(since(o.moved, now, window), now)
		o.failures, o.losses, o.reported, o.notBefore = 0, 0, false, time.Time{}
		return false
	case Lost:
		pause := lostPause
		for range o.losses {
			pause = min(2*pause, maxLostPause)
		}
		o.losses++
		o.notBefore = now.Add(pause)
		return false
	}
	o.losses = 0
	pause := r.Backoff
	for range o.failures {
		pause = min(2*pause, maxBackoff)
	}
	o.failures++
	o.notBefore = now.Add(pause)
	report = !o.reported
	o.reported = true
	return report
}

// Flapping is how many owners had their servers moved within the last hour more than
// oftenMoved times each; servers is how many an owner has.
func (l *Ledger) Flapping(servers func(of types.NamespacedName) int, now time.Time) (owners int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for of, o := range l.owners {
		if o.moved = since(o.moved, now, window); len(o.moved) > oftenMoved*max(1, servers(of)) {
			owners++
		}
	}
	return owners
}

// Keep forgets the owners that have none of the servers any more that could be moved, and
// nothing left that counts.
func (l *Ledger) Keep(has map[types.NamespacedName]bool, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for of, o := range l.owners {
		o.asked, o.moved = since(o.asked, now, window), since(o.moved, now, window)
		if !has[of] && !o.busy && len(o.asked)+len(o.moved) == 0 && !now.Before(o.notBefore) {
			delete(l.owners, of)
		}
	}
}

// settles is how long the servers of an owner are left alone that asked, and were moved
// within the last day.
func (r Rules) settles(moves []time.Time, servers int, now time.Time) time.Duration {
	each := len(moves) / max(1, servers)
	if each == 0 {
		return 0
	}
	pause := r.Backoff
	for range each - 1 {
		pause = min(2*pause, maxSettled)
	}
	return moves[len(moves)-1].Add(pause).Sub(now)
}

// since leaves the moves of so long.
func since(moves []time.Time, now time.Time, long time.Duration) []time.Time {
	return slices.DeleteFunc(moves, func(at time.Time) bool { return now.Sub(at) >= long })
}

// over is how long it takes until there were fewer than limit moves in an hour.
func over(moves []time.Time, limit int, now time.Time) time.Duration {
	switch {
	case len(moves) < limit:
		return 0
	case limit <= 0:
		return window
	}
	return moves[len(moves)-limit].Add(window).Sub(now)
}
