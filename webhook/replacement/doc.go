// Package replacement is what admission must know of a pod that replaces one
// which waited: the reservation made for it, the kind, and how often it was
// recreated.
//
// Readmission tells which replacements it expects, and a new pod's namespace,
// controller and name enter; the expectation for that pod leaves. What must
// outlive the process stands in annotations of the pods, sealed with the
// webhook's key, and is read here: the kind a dry run asks about, and the
// ReplicaSet that will adopt a pod created ahead of it. The package calls no
// API and chooses nothing.
package replacement
