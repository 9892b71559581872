// Package pending keeps the pending pods that readmission may recreate, sorted
// by template, and whose record can be trusted.
//
// Pods enter from the feed, the snapshot of those that are pending leaves, in
// the order of kube-scheduler's queue where that matters. It never takes a pod
// that is bound, one whose record does not verify, or one that could not be
// recreated; it calls no API and chooses nothing.
//
// Pods has a lock, held for map operations only; a Pod and a Template never
// change.
package pending
