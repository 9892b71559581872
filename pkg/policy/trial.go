package policy

import (
	"cmp"
	"slices"

	"heteroaccel.io/pkg/servicetime"
)

// Trial is why a pod is sent where a run is not expected to be done first: to
// learn how long it takes there.
type Trial uint8

const (
	// NoTrial: it is sent where it is expected to do best.
	NoTrial Trial = iota
	// FirstTrial: no run was ever timed there.
	FirstTrial
	// AnotherTrial: the latest runs there were much shorter than expected, and
	// might make it the better kind.
	AnotherTrial
	// OldTrial: the last run there was long ago.
	OldTrial
)

const (
	// everyTrial is how many pods of an inference there are at least between two
	// that are spent on learning: at most one in five is, but for those that
	// would wait.
	everyTrial = 4
	// freeTrials on a kind may follow each other that closely. From then on the
	// number of pods in between doubles with each, up to 16 times as many.
	freeTrials, mostDoublings = 3, 4
	// unanswered is by how much more it grows while the last pod sent there has
	// not been timed: it still runs, or it failed.
	unanswered = 4
	// everyOld is how many pods there are at least from the last one on a kind
	// to one that looks whether an old time still holds.
	everyOld = servicetime.Window
	// near is how many times as long as the best a few runs may have taken on a
	// kind that may be the better one all the same.
	near = 1.25
	// blindly is how many times as long a run may be expected to last on a kind
	// that is tried to save a pod from waiting: 8 is the last of four kinds.
	blindly = 10
	// believedHints is by how much longer a hint is believed when the others of
	// its profile were right, and right is how far off, as a factor, that may be.
	believedHints, right = 16, 1.3
)

// try puts a candidate first that is due for a trial: idle, allowed, and
// affordable. The ranking is otherwise left as it is. What is not known of
// where the pod would go anyway, it learns there.
//
// A kind is due once if no run of the inference was ever timed there. It is due
// again while its latest runs took about as long as one where the pod would go,
// or less, and were too few to replace a hint or less than half as long as
// expected; and when the last was longer ago than servicetime.Old. A run on it, with
// its handover, may last no more times as long as what the pod would have
// instead, its wait included, than runs of the inference were timed in all: no
// trial costs more than everything before it, and a kind that is said to be
// slow is looked at late. Where the hints of a profile that were put to the
// test were right, the others are believed sixteen times as long.
//
// Nobody waits on the strength of a guess: where the pod would wait beside an
// idle kind of which nothing but its place in the profile is known, and no other
// pod is there to be timed, it is tried there whatever was tried lately.
func try(ranked []Ranked) []Ranked {
	if len(ranked) < 2 || ranked[0].Timed.Recent <= 0 && ranked[0].Idle() > 0 {
		return ranked
	}
	var runs float64
	for _, r := range ranked {
		runs += max(0, float64(r.Timed.Runs))
	}
	believed := hintsHold(ranked)
	due := -1
	for i := 1; i < len(ranked); i++ {
		r := &ranked[i]
		if r.Trial = trial(*r, ranked[0], runs, believed); r.Trial == NoTrial {
			continue
		}
		if due < 0 || moreDue(*r, ranked[due]) < 0 {
			due = i
		}
	}
	for i := range ranked {
		if i != due {
			ranked[i].Trial = NoTrial
		}
	}
	if due > 0 {
		r := ranked[due]
		ranked = slices.Insert(slices.Delete(ranked, due, due+1), 0, r)
	}
	return ranked
}

// hintsHold reports whether those hints of a profile that were put to the test
// were right, at least one of them.
func hintsHold(ranked []Ranked) bool {
	held := false
	for _, r := range ranked {
		if r.Hint <= 0 || r.Timed.Recent < servicetime.MinRuns {
			continue
		}
		if off := r.Service.Seconds() / r.Hint.Seconds(); !(off <= right && off >= 1/right) {
			return false
		}
		held = true
	}
	return held
}

// moreDue compares what is due: the least known, then the cheapest.
func moreDue(a, b Ranked) int {
	return cmp.Or(cmp.Compare(a.Timed.Runs, b.Timed.Runs), cmp.Compare(a.service(), b.service()))
}

// trial is why r is due in the place of best, after so many runs on all kinds.
func trial(r, best Ranked, runs float64, believed bool) Trial {
	if believed && r.Basis == servicetime.Hinted && r.Timed.Recent <= 0 {
		runs /= believedHints
	}
	switch {
	case !r.TrialHistory.Allowed || r.Refused != nil || r.Nodes <= 0 || r.Idle() <= 0:
		return NoTrial
	case best.Wait > 0 && r.blind() && !r.TrialHistory.Untimed && r.held() <= blindly*(best.held()+best.waits()):
		return FirstTrial
	case r.TrialHistory.PodsSinceTrial < everyTrial || r.held() > runs*(best.held()+best.waits()):
		return NoTrial
	case (r.TrialHistory.Trials > 0 || r.TrialHistory.Untimed) && r.TrialHistory.PodsSinceKind < pause(r):
		return NoTrial
	case r.Timed.Recent <= 0:
		return FirstTrial
	}
	least := r.Timed.Least.Seconds()
	few := r.Timed.Recent < servicetime.MinRuns
	switch {
	case least < near*best.service() && (few || least < r.service()/2):
		return AnotherTrial
	case r.Timed.Age > servicetime.StaleAfter && r.TrialHistory.PodsSinceKind >= everyOld:
		return OldTrial
	}
	return NoTrial
}

// blind reports whether nothing but the place in an order says how long a run
// takes.
func (r Ranked) blind() bool {
	return r.Timed.Recent <= 0 && !r.Basis.Measured() && r.Basis != servicetime.Speed
}

// pause is how many pods there are at least between two that are sent to a
// kind to learn.
func pause(r Ranked) int64 {
	n := int64(everyTrial) << min(mostDoublings, max(0, r.TrialHistory.Trials-freeTrials+1))
	if r.TrialHistory.Untimed {
		n *= unanswered
	}
	return n
}

// held is for how long a run is expected to keep its device from others, in
// seconds.
func (r Ranked) held() float64 { return r.service() + Handover.Seconds() }

// waits is how long the pod would wait there, in seconds.
func (r Ranked) waits() float64 { return r.Wait.Seconds() }
