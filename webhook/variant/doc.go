// Package variant finds the variants that a pod could run: those that its request
// allows and its own spec is compatible with.
//
// A pod without a mutation, its request and the profiles enter; what the inventory
// needs to choose among them, and mutate to apply the choice, leaves. The package
// is pure: it chooses nothing, keeps no state and never changes the pod. Admission
// and re-admission both use it, so that they agree.
package variant
