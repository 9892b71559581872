// Package readmit recreates a pod that waits for one kind for another that is
// idle, or that the scheduler finds a node for. What a container runs cannot be
// changed once its pod was created, so the pod is recreated, and admission
// decides anew.
//
// Pods enter from the feed, and the inventory wakes the loop when something is
// idle; recreated pods leave, and an expectation for each, by which admission
// knows what a new pod replaces. It never chooses a kind for a new pod, never
// touches a bound pod, and never one whose record does not verify.
//
//	pod is pending ──▶ its kind has nothing usable, another is idle and better by the
//	                   margin, or the scheduler finds no node for it on its kind
//	                      │  reserve the other kind, so that one device moves one pod
//	                      ▼
//	                   recreate: dry run, then by owner
//	                      │  refused: remembered, the next kind is tried
//	                      ▼
//	admission ◀── expected replacement: reservation released, count carried over
//
// The loop calls, and nothing calls back:
//
//	readmit ─┬─▶ pending    which pods are pending
//	         ├─▶ requeue    let the scheduler look again, or accept its verdict
//	         ├─▶ choice     who is better off where, and in which order
//	         └─▶ recreate ──▶ barepod    by owner; pods without one, from a record
//	                 └─────────┴──▶ podapi    the calls
//
// Of all pods that gain, one that has waited longer than the patience overtakes
// all others, the longest first, whatever its priority; then the order is pod
// priority, whose deadline is kept by it, the soonest first, gain, age. So no pod starves: once its patience is over, only those
// that have waited longer still are before it, and they only get fewer.
//
// A pod that was recreated n times is left alone for backoff × 2^(n−1) after
// that, an hour at most. The count is an annotation that admission writes from
// the expectation.
//
// All of this is of one term, in which this replica leads, but the pending pods,
// which follow the feed in every replica.
//
// State: pending owns the pods, replacement the expectations, attempts what is
// being recreated, recreate what the feed shows of those pods, and barepod the
// names of records, each behind a lock of its own that is never held while
// another is taken or a call is made. What belongs to the loop's goroutine has no
// lock. What is idle only the inventory says, and what is known against a kind
// only the memory of refusals.
package readmit
