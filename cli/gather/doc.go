// Package gather reads of a cluster what package check judges, with the caller's
// rights.
//
// How to reach the cluster enters; facts leave, each with the error of reading it. It
// changes nothing, but for one pod that kube-scheduler places to show whether it asks
// the extender, and that is removed again whatever happens.
package gather
