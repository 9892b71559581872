// Package distribution is how kube-scheduler is told to ask the extender on each
// distribution of Kubernetes: which files go where, and what to set.
//
// The extender's address, its certificates and the profiles' resources enter; files
// and steps leave. It reads no cluster and writes no file.
package distribution
