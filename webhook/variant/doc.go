// Package option says in which ways a pod could run: one for each variant that
// its request allows and its own spec is compatible with.
//
// A pod without a mutation, its request and the profiles enter; what mutate
// needs to carry a choice out and what the inventory needs to make it leave.
// The package is pure: it chooses nothing, keeps no state and never changes the
// pod. Admission and re-admission both ask it, so that they agree.
package variant
