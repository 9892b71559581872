package servicetime

import "time"

// Basis is what an expected time rests on.
type Basis uint8

const (
	// Unknown: nothing, or it is not stated.
	Unknown Basis = iota
	// Learned: finished runs.
	Learned
	// Hinted: the profile's serviceTime.
	Hinted
	// Speed: the profile's relative speeds.
	Speed
	// ProfileOrder: the variant's position in the profile.
	ProfileOrder
	// PodOrder: the same times, assigned in the order that the pod names.
	PodOrder
	// Served: what servers report of their own inferences.
	Served
)

// String is a word for the basis, "" for Unknown.
func (b Basis) String() string {
	switch b {
	case Learned:
		return "learned"
	case Hinted:
		return "hint"
	case Speed:
		return "speed"
	case ProfileOrder:
		return "order"
	case PodOrder:
		return "pod's order"
	case Served:
		return "served"
	}
	return ""
}

// Measured reports whether runs were timed, by us, by the profile's author or by servers.
func (b Basis) Measured() bool { return b == Learned || b == Hinted || b == Served }

// Expect is how long a run is expected to take by a hint, 0 for none, and what
// was learned from runs that are all trusted: the estimate once it is reliable,
// until then the hint, without a hint what few runs there were. It is 0, and the
// basis Unknown, without either.
func Expect(hint time.Duration, e Estimate) (time.Duration, Basis) {
	switch took := e.Time(); {
	case hint > 0 && !e.Reliable():
		return hint, Hinted
	case took > 0:
		return took, Learned
	}
	return 0, Unknown
}

// Variant is what is known of the runs on one kind: what its profile states, and
// what was learned.
type Variant struct {
	// Hint is the stated service time, Speed the relative speed; 0 for neither.
	Hint    time.Duration
	Speed   float64
	Learned Measured
}

// Expected is how long a run is expected to take on one kind.
type Expected struct {
	// Known is the time by Measured.Expect, 0 when unknown.
	Known time.Duration
	// Time is Known, or else what follows from the other kinds: greater than 0.
	Time time.Duration
	// Basis is what Time rests on.
	Basis Basis
}

// ExpectAll is what to expect of each variant of a profile, in its order.
func ExpectAll(variants []Variant) []Expected {
	expected := make([]Expected, len(variants))
	speeds, known := make([]float64, len(variants)), make([]time.Duration, len(variants))
	for i, v := range variants {
		speeds[i] = v.Speed
		known[i], expected[i].Basis = v.Learned.Expect(v.Hint)
		expected[i].Known = known[i]
	}
	for i, t := range Complete(known, RelativeTimes(speeds)) {
		e := &expected[i]
		if e.Time = t; e.Basis != Unknown {
			continue
		}
		if e.Basis = ProfileOrder; variants[i].Speed > 0 {
			e.Basis = Speed
		}
	}
	return expected
}
