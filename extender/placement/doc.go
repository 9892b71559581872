// Package placement filters and scores nodes for one pod, and tells whether
// evicting pods from a node would help it.
//
// A pod's needs, immutable node records of the inventory (nil for a node that
// is not known yet) and the time enter; results with a sentence, and scores,
// leave. It is pure: it looks nothing up, remembers nothing and changes nothing.
//
// kube-scheduler's own filters ran before, and are right about who holds which
// device even where our view is some milliseconds behind or ahead. A node is
// therefore rejected only for what Kubernetes cannot know: devices that are
// unhealthy or in external use.
package placement
