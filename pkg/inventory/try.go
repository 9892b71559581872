package inventory

// Try is what a policy needs to know before it spends a run of an inference on
// learning how long one takes on a kind. Whoever asks for a decision keeps the
// counts: see webhook/learning. The zero value allows nothing.
type Try struct {
	// Allowed is set for a pod that ends by itself, and so is timed.
	Allowed bool
	// Pods is how many pods of the inference were decided about since one was
	// last spent on learning, on whichever kind.
	Pods int64
	// Here is how many since one was last sent to this kind, for whatever
	// reason; Tries how many were ever sent there to learn.
	Here, Tries int64
	// Open is set while no run on this kind has been timed since the last was
	// sent there.
	Open bool
}
