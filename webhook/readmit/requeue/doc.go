// Package requeue makes kube-scheduler look again at pods that it found
// unschedulable although their kind counts as usable, and accepts its verdict
// when that changes nothing.
//
// Groups of pending pods enter, with how their options stand now. What leaves is
// a changed annotation on one pod of a group, or a verdict in the memory of
// refusals, which makes the pods wait for another kind. It never recreates a
// pod, and it requeues only pods that are pending already.
//
// Its state belongs to the goroutine that runs the loop: there is no lock.
package requeue
