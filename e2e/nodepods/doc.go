// Package nodepods has the pods of each node, as the API server last reported them: what
// a simulated kubelet needs to know.
//
// A client enters; pods by node leave. It changes nothing.
package nodepods
