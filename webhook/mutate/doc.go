// Package mutate turns a pod that asks for an inference into the pod that runs
// one variant of it, and back.
//
// A pod and a decision enter; the mutated pod and the JSON patch that makes it
// leave. What was replaced is recorded, authenticated, in an annotation of the
// pod, so that the mutation can be undone and another variant applied. The
// package is pure: it never chooses a variant, does no I/O, keeps no state, and
// never changes what it is given.
//
// A review is answered by Undo, FindTarget, Check, Apply, Diff, in this order.
// The webhook sees its own output again (reinvocationPolicy IfNeeded): Undo
// removes the first mutation, so that the same decision gives the same pod and
// Diff is empty.
//
//	target.go        which container runs the inference
//	apply.go         the mutation; undo.go undoes it, by record.go
//	deviceflag/      -d GPU on the command line becomes -d NPU
//	resources.go     the container's requests and limits; origins.go, amounts.go
//	podresources.go  the same for the whole pod
//	environment.go   variables
//	additions.go     groups and tolerations
//	compatible.go    mounts, volumes and selectors, and what contradicts them
//	late.go          the claim of a pod that is bound late, and what moves it
//	defaults.go      the API server's defaults
//	diff.go          the JSON patch
package mutate
