// Package mutate turns a pod that asks for an inference into the pod that runs
// one variant of it, and back.
//
// A pod and a decision enter; the mutated pod and the JSON patch that makes it
// leave. What was replaced is recorded, authenticated, in an annotation of the
// pod, so that a mutation can be undone and recreated with another variant.
// The package is pure: it never chooses a variant, does no I/O, keeps no state,
// and never changes what it is given.
//
// A review is answered by Undo, FindTarget, Check, Apply, Diff, in this order.
// The webhook sees its own output again (reinvocationPolicy IfNeeded): Undo
// takes the first mutation back, so that the same decision gives the same pod
// and Diff has nothing to say.
package mutate
