package inventory

// TrialHistory is what a policy needs to know before it spends a run of an
// inference on learning how long one takes on a kind. Who asks for a decision
// keeps the counts: see webhook/learning. The zero value allows no
// trial.
type TrialHistory struct {
	// Allowed is set for a pod that ends by itself, and so can be timed.
	Allowed bool
	// PodsSinceTrial is how many pods of the inference were decided about since
	// the last trial, on whichever kind.
	PodsSinceTrial int64
	// PodsSinceKind is how many since one last went to this kind, for whatever
	// reason; Trials is how many ever went there as trials.
	PodsSinceKind, Trials int64
	// Untimed is set while no run on this kind has been timed since the last
	// pod went there.
	Untimed bool
}
