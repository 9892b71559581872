// Package placement judges nodes for one pod: may it go there, how well would
// it sit, and is anybody there worth evicting for it.
//
// A pod's needs, immutable node records of the inventory (nil for a node that
// is not known yet) and the time enter; verdicts with a sentence and scores
// leave. It is pure: it looks nothing up, remembers nothing and changes nothing.
//
// kube-scheduler's own filters ran before and are right about who holds which
// device, also where this program's view lags or is ahead by some
// milliseconds. A node is therefore rejected only for what Kubernetes cannot
// know: devices that are unhealthy or in use by a process outside it.
package placement
