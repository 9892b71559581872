package policy

import (
	"cmp"
	"slices"

	"heteroaccel.io/pkg/servicetime"
)

// Trial is why a pod is sent to a kind where it is not expected to finish first:
// to learn how long a run takes there.
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
	// trialInterval is how many pods of an inference there are at least between
	// two trials: at most one pod in five is one, but for trials of pods that
	// would otherwise wait.
	trialInterval = 4
	// freeTrials is how many trials of a kind may follow each other that closely.
	// From then on each doubles the number of pods in between, at most
	// maxDoublings times.
	freeTrials, maxDoublings = 3, 4
	// untimedFactor multiplies that number while the last pod sent to the kind has
	// not been timed: it still runs, or it failed.
	untimedFactor = 4
	// staleInterval is how many pods there are at least between the last one on a
	// kind and a trial that checks whether an old time still holds.
	staleInterval = servicetime.Window
	// nearlyBest is how many times as long as on the best kind a few runs may have
	// taken on a kind that may yet be the better one.
	nearlyBest = 1.25
	// maxBlind is how many times as long a run may be expected to take on a kind
	// that is tried to save a pod from waiting: 8 is the last of four kinds.
	maxBlind = 10
	// trustedHints is the factor by which a trial is delayed where the hints of the
	// other kinds were right. hintTolerance is how far off those may be, as a
	// factor.
	trustedHints, hintTolerance = 16, 1.3
)

// applyTrial puts a candidate first that is due for a trial: idle, allowed and
// affordable. It does not change the ranking otherwise. A kind that the pod would
// go to anyway needs no trial.
//
// A kind is due once if no run of the inference was ever timed there. It is due
// again while its latest runs took about as long as on the best kind, or less, if
// they were too few to replace a hint, or less than half as long as expected; and
// when the last run was longer ago than servicetime.StaleAfter.
//
// A trial is affordable if the run with its handover takes at most n times as long
// as what the pod would have instead, its wait included, for n runs of the
// inference that were timed in all. So no trial costs more than everything before
// it, and a kind that is said to be slow is tried late. Where those hints of a
// profile that could be checked were right, it is sixteen times as late.
//
// No pod misses its deadline for a trial that it is expected to make elsewhere.
//
// No pod waits because of a guess: where it would wait while a kind is idle of
// which only the position in the profile is known, and no run there is about to
// be timed, it is tried there however recent the last trial was.
func applyTrial(ranked []Ranked) []Ranked {
	if len(ranked) < 2 || ranked[0].Timed.Recent <= 0 && ranked[0].Idle() > 0 {
		return ranked
	}
	var runs float64
	for _, r := range ranked {
		runs += max(0, float64(r.Timed.Runs))
	}
	hintsTrusted := hintsHold(ranked)
	due := -1
	for i := 1; i < len(ranked); i++ {
		r := &ranked[i]
		if r.Trial = trialOf(*r, ranked[0], runs, hintsTrusted); r.Trial == NoTrial {
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

// hintsHold reports whether at least one hint of a profile could be checked
// against timed runs, and all of these were right.
func hintsHold(ranked []Ranked) bool {
	held := false
	for _, r := range ranked {
		if r.Hint <= 0 || r.Timed.Recent < servicetime.MinRuns {
			continue
		}
		if off := r.Service.Seconds() / r.Hint.Seconds(); !(off <= hintTolerance && off >= 1/hintTolerance) {
			return false
		}
		held = true
	}
	return held
}

// moreDue orders candidates that are due: the least known first, then the cheapest.
func moreDue(a, b Ranked) int {
	return cmp.Or(cmp.Compare(a.Timed.Runs, b.Timed.Runs), cmp.Compare(a.serviceSeconds(), b.serviceSeconds()))
}

// trialOf is why r is due in place of best, NoTrial if it is not. runs is how many
// were timed on all kinds.
func trialOf(r, best Ranked, runs float64, hintsTrusted bool) Trial {
	if hintsTrusted && r.Basis == servicetime.Hinted && r.Timed.Recent <= 0 {
		runs /= trustedHints
	}
	switch {
	case !r.TrialHistory.Allowed || r.Refused != nil || r.Nodes <= 0 || r.Idle() <= 0 || r.overdue(best):
		return NoTrial
	case best.Wait > 0 && r.blind() && !r.TrialHistory.Untimed && r.occupies() <= maxBlind*(best.occupies()+best.waitSeconds()):
		return FirstTrial
	case r.TrialHistory.PodsSinceTrial < trialInterval || r.occupies() > runs*(best.occupies()+best.waitSeconds()):
		return NoTrial
	case (r.TrialHistory.Trials > 0 || r.TrialHistory.Untimed) && r.TrialHistory.PodsSinceKind < trialPause(r):
		return NoTrial
	case r.Timed.Recent <= 0:
		return FirstTrial
	}
	least := r.Timed.Least.Seconds()
	few := r.Timed.Recent < servicetime.MinRuns
	switch {
	case least < nearlyBest*best.serviceSeconds() && (few || least < r.serviceSeconds()/2):
		return AnotherTrial
	case r.Timed.Age > servicetime.StaleAfter && r.TrialHistory.PodsSinceKind >= staleInterval:
		return OldTrial
	}
	return NoTrial
}

// blind reports whether nothing but the position in an order tells how long a run
// takes.
func (r Ranked) blind() bool {
	return r.Timed.Recent <= 0 && !r.Basis.Measured() && r.Basis != servicetime.Speed
}

// trialPause is how many pods there are at least between two trials of a kind.
func trialPause(r Ranked) int64 {
	n := int64(trialInterval) << min(maxDoublings, max(0, r.TrialHistory.Trials-freeTrials+1))
	if r.TrialHistory.Untimed {
		n *= untimedFactor
	}
	return n
}

// occupies is how long a run is expected to occupy its device, in seconds.
func (r Ranked) occupies() float64 { return r.serviceSeconds() + Handover.Seconds() }

// waitSeconds is how long the pod would wait there, in seconds.
func (r Ranked) waitSeconds() float64 { return r.Wait.Seconds() }
